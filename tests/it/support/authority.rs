//! An authority of our own, and a certificate of it for 127.0.0.1 and nobody else. Needs openssl.

use std::path::PathBuf;
use std::process::Command;

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
