//! One name: what its zone says of it, and of an alias the way to its end, each step at that step's own authority.

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_proto::rr::{Name, RecordType};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::model::{FailureClass, Finding, SourceFailure};
use crate::source::outside::Record;
use crate::source::outside::dns::said::{Said, text};
use crate::source::outside::dns::trouble::trimmed;
use crate::source::outside::dns::world::{Place, World};

/// Steps of an alias. Resolvers give up at about so many.
const MAX_STEPS: usize = 10;
/// Seconds. A name that points to an address must be able to point elsewhere within an outage.
const LONG_TTL: u32 = 3600;

/// One name on the way.
struct Step {
    name: Name,
    zone: String,
    authoritative: bool,
    exists: bool,
    /// By type.
    records: BTreeMap<String, Said>,
    /// By server and type: those that say something else.
    otherwise: BTreeMap<String, BTreeMap<String, Said>>,
}

pub struct Followed {
    pub record: Record,
    pub findings: Vec<Finding>,
}

pub async fn follow(
    world: &World<'_>,
    zone: Arc<Place>,
    name: &Name,
    types: &[RecordType],
    cx: &Context,
) -> Result<Followed, SourceFailure> {
    let (mut place, mut at) = (zone, name.to_lowercase());
    let mut steps: Vec<Step> = Vec::new();
    let mut findings = Vec::new();
    loop {
        let (step, next) = one(world, place, &at, types, &mut findings, cx).await?;
        steps.push(step);
        let Some(target) = next else { break };
        let way = || {
            let names = steps.iter().map(|step| text(&step.name)).chain([text(&target)]);
            names.map(|name| trimmed(&name).to_owned()).collect::<Vec<_>>().join(" -> ")
        };
        let endless = |what: &str| {
            let failure = SourceFailure::new(FailureClass::Configuration, subject(name), format!("{what}: {}", way()));
            Err(failure.cure("mend the CNAME records, or take the name from `names`"))
        };
        if steps.iter().any(|step| step.name == target) {
            return endless("is an alias of itself");
        }
        if steps.len() > MAX_STEPS {
            return endless(&format!("is an alias over more than {MAX_STEPS} steps"));
        }
        place = world.place_of(&target, cx).await?;
        at = target;
    }
    findings.extend(judged(name, &steps));
    Ok(Followed { record: recorded(name, &steps), findings })
}

pub fn subject(name: &Name) -> String {
    format!("name {}", trimmed(&text(name)))
}

/// What one name says, and where it points if it is an alias.
async fn one(
    world: &World<'_>,
    mut place: Arc<Place>,
    name: &Name,
    types: &[RecordType],
    findings: &mut Vec<Finding>,
    cx: &Context,
) -> Result<(Step, Option<Name>), SourceFailure> {
    // Down to the zone that the name really lies in: one cut for each label at most.
    for _ in 0..=name.num_labels() {
        let alias = place.ask(name, RecordType::CNAME, cx).await?;
        let (zone, authoritative) = (text(place.name()), place.is_authority());
        let mut step = Step {
            name: name.clone(),
            zone,
            authoritative,
            exists: true,
            records: BTreeMap::new(),
            otherwise: BTreeMap::new(),
        };
        match &alias.said {
            Said::Below { zone, servers } => {
                place = world.below(&place, zone, servers, cx).await?;
                continue;
            }
            Said::Set { data, .. } => {
                let target = data.first().and_then(|target| Name::from_ascii(target).ok());
                step.take(RecordType::CNAME, alias.said, alias.otherwise, alias.findings, findings);
                return Ok((step, target));
            }
            Said::NoSuchName => {
                step.exists = false;
                step.take(RecordType::CNAME, alias.said, alias.otherwise, alias.findings, findings);
                return Ok((step, None));
            }
            Said::Nothing => step.take(RecordType::CNAME, alias.said, alias.otherwise, alias.findings, findings),
        }
        for kind in types.iter().filter(|kind| **kind != RecordType::CNAME) {
            let answer = place.ask(name, *kind, cx).await?;
            step.take(*kind, answer.said, answer.otherwise, answer.findings, findings);
        }
        return Ok((step, None));
    }
    let message = "its zones send on to each other, again and again";
    Err(SourceFailure::new(FailureClass::Configuration, subject(name), message)
        .cure("see the NS records of the zones above it"))
}

impl Step {
    fn take(
        &mut self,
        kind: RecordType,
        said: Said,
        otherwise: BTreeMap<String, Said>,
        found: Vec<Finding>,
        findings: &mut Vec<Finding>,
    ) {
        findings.extend(found.into_iter().filter(|one| !findings.contains(one)).collect::<Vec<_>>());
        if !otherwise.is_empty() {
            let servers: Vec<&str> = otherwise.keys().map(|name| trimmed(name)).collect();
            let message = format!(
                "{kind}: the servers of zone {} disagree: {} say something else than the first",
                trimmed(&self.zone),
                servers.join(", ")
            );
            let finding = Finding::warning(subject(&self.name), message);
            findings.push(finding.cure("see whether the zone is transferred to all of its servers (dig SOA at each)"));
        }
        for (server, said) in otherwise {
            self.otherwise.entry(server).or_default().insert(kind.to_string(), said);
        }
        if let Said::Set { .. } = said {
            self.records.insert(kind.to_string(), said);
        }
    }

    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let by_type = |said: &BTreeMap<String, Said>| {
            let said = said.iter().map(|(kind, said)| (kind.clone(), self.without_ttl(said.json())));
            Value::Object(said.collect())
        };
        fields.insert("zone".into(), json!(self.zone));
        fields.insert("authoritative".into(), json!(self.authoritative));
        fields.insert("exists".into(), json!(self.exists));
        fields.insert("records".into(), by_type(&self.records));
        if !self.otherwise.is_empty() {
            let each = self.otherwise.iter().map(|(server, said)| (server.clone(), by_type(said)));
            fields.insert("otherwise".into(), Value::Object(each.collect()));
        }
        fields
    }

    /// A resolver's TTL counts down, and would be another one every day.
    fn without_ttl(&self, mut said: Value) -> Value {
        if let (false, Value::Object(set)) = (self.authoritative, &mut said) {
            set.remove("ttl");
        }
        said
    }
}

/// The name's own zone in the record itself; of an alias the further steps in a list.
fn recorded(name: &Name, steps: &[Step]) -> Record {
    let mut record = Record::new("name", trimmed(&text(name)));
    let Some((first, further)) = steps.split_first() else { return record };
    record.fields = first.fields();
    if !further.is_empty() {
        let chain = further.iter().map(|step| {
            let mut fields = step.fields();
            fields.insert("name".into(), json!(text(&step.name)));
            Value::Object(fields)
        });
        record.fields.insert("chain".into(), chain.collect());
    }
    record
}

/// What a person should know before the day on which the name must point elsewhere.
fn judged(name: &Name, steps: &[Step]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        if !step.exists && n == 0 {
            let finding = Finding::warning(subject(name), "does not exist: it is recorded as absent");
            findings.push(finding.cure("make it, or take it from `names`"));
        } else if !step.exists {
            let message = format!("is an alias of {}, which does not exist", trimmed(&text(&step.name)));
            findings.push(
                Finding::warning(subject(name), message)
                    .cure("point it to a name that exists: whoever gets the other name gets its visitors"),
            );
        }
        if !step.authoritative {
            let message = format!(
                "{} is recorded as the resolver says: no authority of it answers this machine",
                trimmed(&text(&step.name))
            );
            findings.push(
                Finding::warning(subject(name), message)
                    .cure("open UDP and TCP port 53 to the outside for this machine"),
            );
        }
        for kind in ["A", "AAAA", "CNAME"] {
            if let Some(Said::Set { ttl, .. }) = step.records.get(kind)
                && *ttl > LONG_TTL
                && step.authoritative
            {
                let message = format!(
                    "{kind} of {} may be remembered for {ttl} s: for so long after it is pointed elsewhere, visitors go to the old place",
                    trimmed(&text(&step.name))
                );
                findings.push(
                    Finding::warning(subject(name), message).cure("a TTL of at most 300 s, long before it is needed"),
                );
            }
        }
    }
    findings
}
