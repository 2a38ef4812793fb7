//! JSON patches of a person. One that does not apply blocks the object: nobody wants it without.

use super::super::draft::Draft;
use super::super::object::Object;
use super::super::options::Patch;

const IDENTITY: [&str; 4] = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];

pub(super) fn apply(draft: &mut Draft, object: &Object, patches: &[Patch]) {
    for patch in patches.iter().filter(|patch| patch.selector.matches(object)) {
        let before = IDENTITY.map(|pointer| draft.value.pointer(pointer).cloned());
        let mut patched = draft.value.clone();
        if let Err(error) = json_patch::patch(&mut patched, &patch.ops) {
            draft.refuse(error.path.as_str(), format!("a patch does not apply: {error}"));
            continue;
        }
        if IDENTITY.map(|pointer| patched.pointer(pointer).cloned()) != before {
            draft.refuse("/metadata", "a patch changes what the object is called: map its namespace instead");
            continue;
        }
        draft.value = patched;
        let paths = patch.ops.iter().map(|op| op.path().as_str().to_owned()).collect::<Vec<_>>();
        paths.into_iter().for_each(|path| draft.changed(path, "patched, as asked"));
    }
}
