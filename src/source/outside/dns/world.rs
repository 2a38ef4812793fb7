//! Where to ask for a name: the zones that the policy names, and those that aliases lead into.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};
use tokio::sync::{Mutex, OnceCell};

use crate::context::Context;
use crate::model::SourceFailure;
use crate::source::outside::dns::resolver::Resolver;
use crate::source::outside::dns::said::Said;
use crate::source::outside::dns::zone::{Answer, Zone};

/// Whom to ask for what a zone says.
pub enum Place {
    Authority(Zone),
    /// No authority answers from here: the resolver's word is better than none, and said to be its word.
    Hearsay {
        zone: Name,
        resolver: Resolver,
    },
}

impl Place {
    pub fn name(&self) -> &Name {
        match self {
            Place::Authority(zone) => &zone.name,
            Place::Hearsay { zone, .. } => zone,
        }
    }

    pub fn is_authority(&self) -> bool {
        matches!(self, Place::Authority(_))
    }

    pub async fn ask(&self, name: &Name, kind: RecordType, cx: &Context) -> Result<Answer, SourceFailure> {
        match self {
            Place::Authority(zone) => zone.ask(name, kind, cx).await,
            Place::Hearsay { resolver, .. } => {
                let said = Said::of_resolver(&resolver.lookup(name, kind, cx).await?, name, kind);
                Ok(Answer { said, otherwise: BTreeMap::new(), findings: Vec::new() })
            }
        }
    }
}

pub struct World<'a> {
    /// Zones of the policy that answer.
    known: &'a [Arc<Place>],
    named: Option<SocketAddr>,
    resolver: OnceCell<Resolver>,
    /// Zones that were found on the way.
    found: Mutex<BTreeMap<Name, Arc<Place>>>,
}

impl<'a> World<'a> {
    /// `named`: the resolver that the policy names.
    pub fn new(known: &'a [Arc<Place>], named: Option<SocketAddr>) -> Self {
        Self { known, named, resolver: OnceCell::new(), found: Mutex::new(BTreeMap::new()) }
    }

    async fn resolver(&self) -> Result<&Resolver, SourceFailure> {
        self.resolver.get_or_try_init(|| async { Resolver::new(self.named) }).await
    }

    /// The zone that an alias leads into. The policy's own win: their servers may be known to it alone.
    pub async fn place_of(&self, name: &Name, cx: &Context) -> Result<Arc<Place>, SourceFailure> {
        let above = self.known.iter().filter(|place| place.name().zone_of(name));
        if let Some(nearest) = above.max_by_key(|place| place.name().num_labels()) {
            return Ok(nearest.clone());
        }
        let resolver = self.resolver().await?;
        let zone = resolver.zone_of(name, cx).await?;
        // Held while it is looked for: names that lead into one zone find it once.
        let mut found = self.found.lock().await;
        if let Some(place) = found.get(&zone) {
            return Ok(place.clone());
        }
        let place = match Zone::find(zone.clone(), resolver, cx).await {
            Ok(zone) => Place::Authority(zone),
            Err(_) => Place::Hearsay { zone: zone.clone(), resolver: resolver.clone() },
        };
        let place = Arc::new(place);
        found.insert(zone, place.clone());
        Ok(place)
    }

    /// A zone that another one hands a name down to.
    pub async fn below(
        &self,
        above: &Place,
        zone: &Name,
        servers: &[Name],
        cx: &Context,
    ) -> Result<Arc<Place>, SourceFailure> {
        if let Some(place) = self.known.iter().find(|place| place.name() == zone && place.name() != above.name()) {
            return Ok(place.clone());
        }
        let mut found = self.found.lock().await;
        if let Some(place) = found.get(zone) {
            return Ok(place.clone());
        }
        let place = Zone::of(zone.clone(), servers.to_vec(), self.resolver().await?, cx).await?;
        let place = Arc::new(Place::Authority(place));
        found.insert(zone.clone(), place.clone());
        Ok(place)
    }
}
