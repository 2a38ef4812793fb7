//! Every number and every text of every document, exchanged for what nobody expects: no verb panics, whatever it says.

use serde_json::Value;

use crate::support::forge::Forge;
use crate::support::local::{is_soak, seed};
use crate::support::reseal::Capture;

/// JSON pointers to everything that is no object or array.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            leaves(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(n, value)| leaves(value, &format!("{at}/{n}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

fn odd() -> Vec<Value> {
    vec![
        Value::Null,
        u64::MAX.into(),
        i64::MAX.into(),
        serde_json::json!(i64::MIN),
        serde_json::json!(-1),
        0.into(),
        u32::MAX.into(),
        serde_json::json!(1e308),
        serde_json::json!(0.5),
        "".into(),
        "../../../../etc/passwd".into(),
        "\u{1b}[31m\0".into(),
        "9999-12-31T23:59:59.999999999Z".into(),
        "-009999-01-01T00:00:00Z".into(),
        "+999999-01-01T00:00:00Z".into(),
        "7ZZZZZZZZZZZZZZZZZZZZZZZZZ".into(),
        "00000000000000000000000000".into(),
        "0".repeat(64).into(),
        "x".repeat(100_000).into(),
        serde_json::json!([]),
        serde_json::json!({}),
        true.into(),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Where {
    Manifest,
    Detail,
    Line,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_any_document_makes_a_verb_panic() {
    let (forge, [_, newest]) = Forge::with_backups().await;
    let good = Capture::of_forge(&forge, newest);
    let mut trials = Vec::new();
    for (place, document) in [
        (Where::Manifest, &good.manifest),
        (Where::Detail, &good.detail),
        (Where::Line, &Value::Array(good.lines.clone())),
    ] {
        let mut pointers = Vec::new();
        leaves(document, "", &mut pointers);
        for pointer in pointers {
            trials.extend(odd().into_iter().map(|value| (place, pointer.clone(), value)));
        }
    }
    let all = trials.len();
    let seed = seed("values");
    if !is_soak() {
        trials.sort_by_key(|trial| lifeboat::model::sha256(format!("{seed} {trial:?}").as_bytes()).to_string());
        trials.truncate(40);
    }
    eprintln!("{} of {all} pairs of field and value", trials.len());
    let run = newest.to_string();
    let snapshot = forge.snapshot();
    for (place, pointer, value) in &trials {
        let mut capture = Capture::of_forge(&forge, newest);
        match place {
            Where::Manifest => {
                // As it would have been signed: hashes are made right only where they are not what is changed.
                *capture.manifest.pointer_mut(pointer).unwrap() = value.clone();
                capture.sign_manifest();
            }
            Where::Detail => {
                *capture.detail.pointer_mut(pointer).unwrap() = value.clone();
                capture.store();
            }
            Where::Line => {
                let mut lines = Value::Array(capture.lines.clone());
                *lines.pointer_mut(pointer).unwrap() = value.clone();
                capture.lines = lines.as_array().unwrap().clone();
                capture.store();
            }
        }
        for args in [
            &["list"][..],
            &["show", &run],
            &["verify", "all", "--level", "opened"],
            &["cat", &run, "postgres", "db/shop"],
        ] {
            // `Said` itself fails on a panic, and on a signal.
            let said = forge.run(args);
            assert!(matches!(said.code, 0 | 2 | 3 | 4 | 12), "{place:?} {pointer} {value} {args:?}: {said:?}");
            let cat = args[0] == "cat" && said.code == 0;
            let harmless = *place != Where::Line || pointer.ends_with("/v") || pointer.ends_with("/until");
            assert!(
                !cat || harmless || pointer.starts_with("/0/") || said.out.len() > 1_000_000,
                "{place:?} {pointer}"
            );
        }
        forge.restore_snapshot(&snapshot);
    }
    if is_soak() {
        eprintln!("soak: hostile-value trials={} failures=0", trials.len());
    }
}
