//! What `check` and `plan backup` say of quiescing. Nothing is changed.

use crate::config;
use crate::context::Context;
use crate::job::plan::finding;
use crate::job::quiesce::Meant;
use crate::model::{Finding, SourceFailure};
use crate::source::cluster::quiesce::{self, Chosen};

/// What would be set to zero, as one step of a plan. None: the policy quiesces nothing.
pub(in crate::job) async fn plan(policy: &config::Policy, cx: &Context) -> Option<(String, Vec<Finding>)> {
    let meant = Meant::by(policy)?;
    let max = meant.quiesce.max;
    Some(match choose(&meant, cx).await {
        Ok((chosen, findings)) if chosen.is_empty() => {
            let nothing = Finding::problem("quiesce", "`quiesce.scale` fits nothing that can be scaled");
            ("set nothing to 0: the selector fits nothing".into(), [vec![nothing], findings].concat())
        }
        Ok((chosen, findings)) => {
            let named: Vec<String> = chosen.iter().map(described).collect();
            (format!("set to 0, for {max} at most: {}", named.join(", ")), findings)
        }
        Err(failure) => ("set nothing to 0: it cannot be seen what would be".into(), vec![finding(failure)]),
    })
}

fn described(chosen: &Chosen) -> String {
    let earlier = chosen.record.as_ref().filter(|_| chosen.replicas == 0);
    match earlier {
        Some(record) => format!("{} (0, had {} before run {})", chosen.workload.reference, record.replicas, record.run),
        None => format!("{} ({})", chosen.workload.reference, chosen.replicas),
    }
}

async fn choose(meant: &Meant<'_>, cx: &Context) -> Result<(Vec<Chosen>, Vec<Finding>), SourceFailure> {
    let (api, scalable) = meant.connect(cx).await?;
    quiesce::choose(api.as_ref(), &scalable, &meant.scope).await
}

/// What a check says: what would be scaled, and what was left at zero.
pub(in crate::job) async fn check(policy: &config::Policy, cx: &Context) -> Option<Vec<Finding>> {
    let meant = Meant::by(policy)?;
    Some(look(&meant, cx).await.unwrap_or_else(|failure| vec![finding(failure)]))
}

async fn look(meant: &Meant<'_>, cx: &Context) -> Result<Vec<Finding>, SourceFailure> {
    let (api, scalable) = meant.connect(cx).await?;
    let (chosen, mut findings) = quiesce::choose(api.as_ref(), &scalable, &meant.scope).await?;
    let max = meant.quiesce.max;
    findings.insert(
        0,
        match chosen.as_slice() {
            [] => Finding::problem("quiesce", "`quiesce.scale` fits nothing that can be scaled")
                .cure("see the labels: kubectl get deployments --show-labels"),
            chosen => {
                let named: Vec<String> = chosen.iter().map(described).collect();
                Finding::ok("quiesce", format!("a backup sets to 0, for {max} at most: {}", named.join(", ")))
            }
        },
    );
    for right in quiesce::missing_rights(api.as_ref(), chosen.iter().map(Chosen::place)).await? {
        findings.push(
            Finding::problem("quiesce", format!("may not {right}, so nothing would be set to 0"))
                .cure("the rights of deploy/rbac-quiesce.yaml"),
        );
    }
    let found = quiesce::recorded(api.as_ref(), &scalable, &meant.scope.namespaces).await?;
    let now = cx.clock.now();
    for marked in &found.marked {
        let subject = marked.workload.reference.to_string();
        let cure = format!("lifeboat quiesce release -f {}", meant.policy.file.display());
        match &marked.record {
            Ok(record) if record.until < now => {
                let message = format!(
                    "was left at {} by run {} of policy {}: it had {}",
                    marked.replicas, record.run, record.policy, record.replicas
                );
                findings.push(Finding::problem(subject, message).cure(cure));
            }
            Ok(record) => {
                let message =
                    format!("is held at 0 by run {} of policy {}, until {}", record.run, record.policy, record.until);
                findings.push(Finding::warning(subject, message).cure("nothing, while that backup runs"));
            }
            Err(problem) => {
                let message = format!("bears a record that cannot be read: {problem}");
                findings.push(
                    Finding::problem(subject, message)
                        .cure("scale it to what it should be, and take the annotation lifeboat.dev/quiesced off"),
                );
            }
        }
    }
    Ok(findings)
}
