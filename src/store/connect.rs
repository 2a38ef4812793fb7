//! Which driver serves which address.

use std::sync::Arc;

use crate::clock::Clock;
use crate::model::StoreUrl;
use crate::store::Access;
use crate::store::driver::{Driver, DriverError, ErrorKind};
use crate::store::local::Local;
#[cfg(feature = "minio")]
use crate::store::minio::Minio;
use crate::store::settings::StoreSettings;

type Connected = Result<Arc<dyn Driver>, DriverError>;

pub(in crate::store) async fn open(
    url: &StoreUrl,
    settings: &StoreSettings,
    access: Access,
    clock: &Arc<dyn Clock>,
) -> Connected {
    match url {
        StoreUrl::Local(path) => Ok(Arc::new(Local::open(path.clone(), access, clock.clone()).await?)),
        _ => bucket(url, settings).await,
    }
}

pub(in crate::store) async fn create(url: &StoreUrl, settings: &StoreSettings, clock: &Arc<dyn Clock>) -> Connected {
    match url {
        StoreUrl::Local(path) => Ok(Arc::new(Local::create(path.clone(), clock.clone()).await?)),
        _ => bucket(url, settings).await,
    }
}

async fn bucket(url: &StoreUrl, settings: &StoreSettings) -> Connected {
    match url {
        StoreUrl::Local(_) => Err(DriverError::new(ErrorKind::Other, "not a bucket")),
        StoreUrl::S3(_) => Err(left_out("s3")),
        #[cfg(feature = "minio")]
        StoreUrl::Minio(url) => Ok(Arc::new(Minio::open(url, settings)?)),
        #[cfg(not(feature = "minio"))]
        StoreUrl::Minio(_) => Err(left_out("minio")),
        StoreUrl::Gcs(_) => Err(left_out("gcs")),
    }
}

/// The program can be built without each of the drivers.
fn left_out(feature: &str) -> DriverError {
    DriverError::new(ErrorKind::Other, format!("this lifeboat was built without the feature `{feature}`"))
}
