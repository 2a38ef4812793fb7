//! Certificates that will have been issued anew.

use serde_json::Value;

use super::super::draft::Draft;
use super::super::noise;
use crate::source::cluster::Gvk;

pub(super) fn look(draft: &mut Draft, gvk: &Gvk) {
    let bundles: Vec<String> = match gvk.group.as_str() {
        "admissionregistration.k8s.io" => {
            (0..draft.list("/webhooks").len()).map(|at| format!("/webhooks/{at}/clientConfig/caBundle")).collect()
        }
        "apiextensions.k8s.io" => vec!["/spec/conversion/webhook/clientConfig/caBundle".to_owned()],
        "apiregistration.k8s.io" => vec!["/spec/caBundle".to_owned()],
        _ => return,
    };
    let injected = noise::injects_authority(&draft.value);
    for bundle in bundles {
        let there = draft.value.pointer(&bundle).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        if there {
            let by = if injected { "until cert-manager writes its own" } else { "unless its Secret is restored too" };
            draft.look(bundle, format!("trusts the old authority; calls fail {by}"));
        }
    }
}
