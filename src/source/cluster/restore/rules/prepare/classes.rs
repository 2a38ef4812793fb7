//! Other storage and ingress classes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::draft::{Draft, escaped};
use super::super::options::Rules;
use crate::source::cluster::Gvk;

/// Before there was a field. A server still reads them.
const OLD_STORAGE: &str = "volume.beta.kubernetes.io/storage-class";
const OLD_INGRESS: &str = "kubernetes.io/ingress.class";

pub(super) fn map(draft: &mut Draft, gvk: &Gvk, rules: &Rules) {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "PersistentVolumeClaim" | "PersistentVolume") => storage(draft, "", &rules.storage_classes),
        ("apps", "StatefulSet") => {
            for at in 0..draft.list("/spec/volumeClaimTemplates").len() {
                storage(draft, &format!("/spec/volumeClaimTemplates/{at}"), &rules.storage_classes);
            }
        }
        ("networking.k8s.io", "Ingress") => {
            swap(draft, "/spec/ingressClassName".to_owned(), &rules.ingress_classes);
            let old = format!("/metadata/annotations/{}", escaped(OLD_INGRESS));
            swap(draft, old, &rules.ingress_classes);
        }
        _ => {}
    }
}

fn storage(draft: &mut Draft, object: &str, classes: &BTreeMap<String, String>) {
    swap(draft, format!("{object}/spec/storageClassName"), classes);
    swap(draft, format!("{object}/metadata/annotations/{}", escaped(OLD_STORAGE)), classes);
}

fn swap(draft: &mut Draft, pointer: String, classes: &BTreeMap<String, String>) {
    let Some(place) = draft.value.pointer_mut(&pointer) else { return };
    let Some(new) = place.as_str().and_then(|old| classes.get(old)) else { return };
    let note = format!("was {place}, as asked");
    *place = Value::String(new.clone());
    draft.changed(pointer, note);
}
