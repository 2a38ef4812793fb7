//! Other registries.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::draft::Draft;
use super::pod_spec;
use crate::source::cluster::Gvk;

pub(super) fn map(draft: &mut Draft, gvk: &Gvk, images: &BTreeMap<String, String>) {
    let Some(spec) = pod_spec(gvk).filter(|_| !images.is_empty()) else { return };
    for list in ["containers", "initContainers"] {
        for at in 0..draft.list(&format!("{spec}/{list}")).len() {
            container(draft, &format!("{spec}/{list}/{at}/image"), images);
        }
    }
    // A volume that is an image.
    for at in 0..draft.list(&format!("{spec}/volumes")).len() {
        container(draft, &format!("{spec}/volumes/{at}/image/reference"), images);
    }
}

fn container(draft: &mut Draft, pointer: &str, images: &BTreeMap<String, String>) {
    let Some(old) = draft.text(pointer).map(str::to_owned) else { return };
    let Some(new) = mapped(&old, images) else {
        draft.look(pointer, format!("image {old} is in none of the registries that are mapped"));
        return;
    };
    if let Some(place) = draft.value.pointer_mut(pointer) {
        *place = Value::String(new);
    }
    draft.changed(pointer, format!("was {old}, as asked"));
}

/// None if no prefix fits. As written first, then by its full name.
fn mapped(image: &str, images: &BTreeMap<String, String>) -> Option<String> {
    longest(image, images).or_else(|| longest(&full(image), images))
}

fn longest(image: &str, images: &BTreeMap<String, String>) -> Option<String> {
    let fits = |(old, new): (&String, &String)| {
        let old = old.trim_end_matches('/');
        let rest = image.strip_prefix(old).filter(|rest| is_end(rest))?;
        Some((old.len(), format!("{}{rest}", new.trim_end_matches('/'))))
    };
    images.iter().filter_map(fits).max_by_key(|(length, _)| *length).map(|(_, image)| image)
}

/// Whether a whole component ended there: what follows is a path, a tag or a digest, and not the port of another host.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['/', '@']) || rest.starts_with(':') && !rest.contains('/')
}

/// `nginx:1` is short for `docker.io/library/nginx:1`.
fn full(image: &str) -> String {
    match image.split_once('/') {
        None => format!("docker.io/library/{image}"),
        Some(("index.docker.io", path)) => format!("docker.io/{path}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("registry.old/team/app:1", Some("registry.new/team/app:1"))]
    #[case("registry.old/team/app@sha256:aa", Some("registry.new/team/app@sha256:aa"))]
    #[case("registry.older/app:1", None)]
    #[case("registry.old:5000/app:1", None)]
    #[case("nginx:1.29", Some("mirror.new/hub/library/nginx:1.29"))]
    #[case("grafana/loki", Some("mirror.new/hub/grafana/loki"))]
    #[case("index.docker.io/grafana/loki", Some("mirror.new/hub/grafana/loki"))]
    #[case("docker.io/grafana/tempo:2", Some("special.new/tempo:2"))]
    #[case("docker.io/grafana/tempo-query:2", Some("mirror.new/hub/grafana/tempo-query:2"))]
    #[case("localhost/app", None)]
    fn whole_components_and_the_longest_prefix(#[case] image: &str, #[case] wanted: Option<&str>) {
        let images = [
            ("registry.old", "registry.new"),
            ("docker.io", "mirror.new/hub/"),
            ("docker.io/grafana/tempo/", "special.new/tempo"),
        ];
        let images = images.map(|(old, new)| (old.to_owned(), new.to_owned())).into();
        assert_eq!(mapped(image, &images).as_deref(), wanted);
    }
}
