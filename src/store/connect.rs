//! Which driver serves which address.

use std::sync::Arc;

use crate::clock::Clock;
use crate::model::StoreUrl;
use crate::store::Access;
use crate::store::driver::{Driver, DriverError, ErrorKind};
#[cfg(feature = "gcs")]
use crate::store::gcs::Gcs;
use crate::store::local::Local;
#[cfg(feature = "minio")]
use crate::store::minio::Minio;
#[cfg(feature = "s3")]
use crate::store::s3::S3;
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
        #[cfg(feature = "s3")]
        StoreUrl::S3(url) => Ok(Arc::new(S3::open(url, settings).await?)),
        #[cfg(not(feature = "s3"))]
        StoreUrl::S3(_) => Err(left_out("s3")),
        #[cfg(feature = "minio")]
        StoreUrl::Minio(url) => Ok(Arc::new(Minio::open(url, settings)?)),
        #[cfg(not(feature = "minio"))]
        StoreUrl::Minio(_) => Err(left_out("minio")),
        #[cfg(feature = "gcs")]
        StoreUrl::Gcs(url) => Ok(Arc::new(Gcs::open(url, settings)?)),
        #[cfg(not(feature = "gcs"))]
        StoreUrl::Gcs(_) => Err(left_out("gcs")),
    }
}

/// The program can be built without each of the drivers.
#[cfg(not(all(feature = "s3", feature = "minio", feature = "gcs")))]
fn left_out(feature: &str) -> DriverError {
    DriverError::new(ErrorKind::Other, format!("this lifeboat was built without the feature `{feature}`"))
}
