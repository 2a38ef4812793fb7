//! Whom a binding gives rights: accounts carry the name of their namespace.

use serde_json::Value;

use super::super::draft::Draft;
use super::namespaces::{Names, text};

/// The user that an account is to the API server: `system:serviceaccount:NAMESPACE:NAME`.
const USER: &str = "system:serviceaccount:";
/// All accounts of a namespace: `system:serviceaccounts:NAMESPACE`.
const GROUP: &str = "system:serviceaccounts:";

pub(super) fn map(draft: &mut Draft, names: &Names) {
    for at in 0..draft.list("/subjects").len() {
        text(draft, &format!("/subjects/{at}/namespace"), names);
        let pointer = format!("/subjects/{at}/name");
        let Some(new) = draft.text(&pointer).and_then(|name| renamed(name, names)) else { continue };
        if let Some(name) = draft.value.pointer_mut(&pointer) {
            let note = format!("was {name}, as asked");
            *name = Value::String(new);
            draft.changed(pointer, note);
        }
    }
}

fn renamed(name: &str, names: &Names) -> Option<String> {
    if let Some(rest) = name.strip_prefix(USER) {
        let (namespace, account) = rest.split_once(':')?;
        return Some(format!("{USER}{}:{account}", names.get(namespace)?));
    }
    let namespace = name.strip_prefix(GROUP)?;
    Some(format!("{GROUP}{}", names.get(namespace)?))
}
