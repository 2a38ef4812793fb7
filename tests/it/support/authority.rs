//! An authority of our own, and a certificate of it for 127.0.0.1 and nobody else. Needs openssl.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Files of one name are made one after the other.
static ALONE: Mutex<()> = Mutex::new(());

pub struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
            .unwrap();
        for line in [
            "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout ca.key -out ca.pem",
            "req -newkey rsa:2048 -nodes -subj /CN=server -keyout key.pem -out server.csr",
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out cert.pem",
        ] {
            let made = Command::new("openssl").args(line.split(' ')).current_dir(folder.path()).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        Self { folder }
    }

    /// Certificate and key of somebody, as `/O=group/CN=name`, for so many days.
    pub fn person(&self, subject: &str, days: u32) -> (String, String) {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let days = days.to_string();
        self.openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            "person.key",
            "-out",
            "person.csr",
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            "person.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "names",
            "-days",
            &days,
            "-out",
            "person.pem",
        ]);
        (self.read("person.pem"), self.read("person.key"))
    }

    /// A signature as tokens have it: by the server's own key, RS256.
    pub fn signed(&self, text: &str) -> Vec<u8> {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(self.folder.path().join("text"), text).unwrap();
        self.openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "text"]);
        std::fs::read(self.folder.path().join("signature")).unwrap()
    }

    fn openssl(&self, args: &[&str]) {
        let made = Command::new("openssl").args(args).current_dir(self.folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// A certificate for that name, as a server or a client shows it, and its key: both as files.
    pub fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let extensions = format!("subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\n");
        std::fs::write(self.folder.path().join(format!("{name}.names")), extensions).unwrap();
        for line in [
            format!("req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"),
            format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile {name}.names -out {name}.pem"
            ),
        ] {
            let made = Command::new("openssl").args(line.split(' ')).current_dir(self.folder.path()).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        (self.folder.path().join(format!("{name}.pem")), self.folder.path().join(format!("{name}.key")))
    }

    /// The file that names the authority.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn ca(&self) -> String {
        self.read("ca.pem")
    }

    pub fn certificate(&self) -> String {
        self.read("cert.pem")
    }

    pub fn key(&self) -> String {
        self.read("key.pem")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}
