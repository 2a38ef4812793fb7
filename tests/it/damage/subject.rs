//! A repository in which one object is damaged: what each verb says of it.

use crate::support::local::Said;

use super::expect::Expected;
use super::harm::Kind;

pub struct Subject<'a> {
    /// The program on the damaged repository, with policy and identity.
    pub run: &'a dyn Fn(&[&str]) -> Said,
    pub newest: &'a str,
    pub kind: Kind,
    pub key: &'a str,
    pub expected: &'a Expected,
}

impl Subject<'_> {
    pub fn tried(&self) {
        self.verified();
        self.read();
        if self.expected.opens() {
            self.healed();
        }
    }

    fn verified(&self) {
        let Subject { run, kind, key, expected, .. } = *self;
        // A tombstone is nothing that a backup consists of: only who looks at everything sees it.
        let backup = if kind == Kind::Tombstone { "all" } else { "latest" };
        for (level, code) in ["present", "hashed", "opened"].into_iter().zip(expected.codes) {
            let said = run(&["verify", backup, "--level", level, "--json"]).exits(code);
            if let Some(shows) = expected.shows.filter(|_| code == 4) {
                let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
                let rows = report["backups"].as_array().unwrap().iter().flat_map(|b| b["damage"].as_array().unwrap());
                let mut row = rows.filter(|row| row["key"] == key);
                let row = row.next().unwrap_or_else(|| panic!("{key} is not named in {report:#}"));
                assert_eq!(row["level"], shows, "{key}");
            } else if matches!(code, 4 | 12) || expected.warns {
                let named = if key.starts_with("config/") { "config/" } else { key };
                said.says(named);
            }
        }
    }

    fn read(&self) {
        let Subject { run, newest, kind, key, expected } = *self;
        if !expected.opens() {
            for args in [&["list"][..], &["show", "latest"], &["backup"], &["proof", "verify", "latest"]] {
                run(args).exits(expected.codes[0]);
            }
            return;
        }
        let list = run(&["list"]).exits(0);
        if matches!(kind, Kind::Manifest | Kind::Proof | Kind::Tombstone) && expected.codes[0] == 4 {
            list.says(key);
            assert_eq!(run(&["proof", "list"]).exits(0).code, 0);
        }
        let sealed_documents = matches!(kind, Kind::Detail | Kind::ChunkList) && expected.codes[1] == 4;
        let gone = kind == Kind::Manifest && expected.codes[0] == 4;
        let code = if sealed_documents || gone { 4 } else { 0 };
        run(&["show", newest]).exits(code);
        let (globals, shop) =
            (run(&["cat", newest, "postgres", "globals"]), run(&["cat", newest, "postgres", "db/shop"]));
        if kind == Kind::Chunk && expected.codes[1] == 4 {
            let mut codes = [globals.code, shop.code];
            codes.sort_unstable();
            assert_eq!(codes, [0, 4], "one stream is damaged, the other can be had");
            assert!(globals.err.contains(key) || shop.err.contains(key), "{}{}", globals.err, shop.err);
        } else {
            globals.exits(code);
            shop.exits(code);
        }
        let proof = run(&["proof", "verify", newest]);
        let forged = kind == Kind::Proof && expected.codes[0] == 4;
        assert_eq!(proof.code, if forged || gone { 4 } else { 0 }, "{}{}", proof.out, proof.err);
    }

    /// The next backup goes round the damage; the old one stays as it is.
    fn healed(&self) {
        let Subject { run, kind, key, expected, .. } = *self;
        run(&["backup"]).exits(0);
        let keys = if kind == Kind::DedupKey { expected.codes[2] } else { 0 };
        run(&["verify", "latest", "--level", "opened"]).exits(keys);
        let all = run(&["verify", "all", "--level", "opened"]).exits(expected.codes[2]);
        if expected.codes[2] != 0 {
            all.says(key);
        }
    }
}
