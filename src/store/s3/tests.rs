//! The driver against servers that say something and then nothing any more.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::model::sha256;
use crate::secret::Secret;
use crate::store::settings::Credentials;

/// Takes every connection, says so much at the first bytes of a request, and holds it.
async fn black_hole(says: &'static str) -> S3 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            _ = stream.read(&mut [0; 4096]).await;
            _ = stream.write_all(says.as_bytes()).await;
            held.push(stream);
        }
    });
    let url = BucketUrl {
        bucket: "bucket".into(),
        prefix: "pre/fix".into(),
        endpoint: Some(endpoint),
        region: Some("us-east-1".into()),
        addressing: None,
    };
    let secret = |text: &str| Secret::new(text.to_owned());
    let credentials =
        Credentials::Keys { access_key: secret("access"), secret_key: secret("canary"), session_token: None };
    S3::open(&url, &StoreSettings { credentials, ..StoreSettings::default() }).await.unwrap()
}

#[tokio::test]
async fn whoever_says_nothing_any_more_is_given_up() {
    const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of ";
    let key = Key::new("a/b").unwrap();
    for says in ["", "HTTP/1.1 100 Continue\r\n\r\n", HALF] {
        let s3 = Arc::new(black_hole(says).await);
        let body = Bytes::from(vec![7; 1 << 20]);
        let put = Put { sha256: sha256(&body), lock: None, false_checksum: false };
        let began = Instant::now();
        let root = Prefix::root();
        let (get, list) = (s3.get(&key, None, 1000), s3.current(&root));
        let (get, list, now) = tokio::join!(get, list, s3.now());
        let mut errors = vec![get.unwrap_err(), list.unwrap_err()];
        // Half an answer is one, as far as time or success of a write are concerned: its head says both.
        if says != HALF {
            errors.extend([s3.put_new(&key, body, put).await.unwrap_err(), now.unwrap_err()]);
        }
        for error in errors {
            let trouble = Trouble::find(error.source.as_ref());
            assert_eq!((error.kind, trouble), (ErrorKind::Unavailable, Some(&Trouble::Slow)), "{says}: {error:?}");
        }
        assert!(began.elapsed() < LIMIT * 20, "{says}: {:?}", began.elapsed());
    }
}
