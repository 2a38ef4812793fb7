//! Who else believes that an object is theirs: what is changed here, they may change back.

use serde_json::Value;

/// A sentence for each.
pub(super) fn managers(object: &Value) -> Vec<String> {
    let metadata = &object["metadata"];
    let label = |key: &str| metadata["labels"][key].as_str();
    let annotation = |key: &str| metadata["annotations"][key].as_str();
    let mut said = Vec::new();
    match (annotation("meta.helm.sh/release-name"), label("app.kubernetes.io/managed-by")) {
        (Some(release), _) => {
            said.push(format!("belongs to the Helm release {release}: its next upgrade sets it to what the chart says"))
        }
        (None, Some("Helm")) => {
            said.push("belongs to a Helm release: its next upgrade sets it to what the chart says".to_owned());
        }
        _ => {}
    }
    if let Some(app) = label("kots.io/app-slug").or_else(|| annotation("kots.io/app-slug")) {
        said.push(format!("belongs to the KOTS application {app}: its next deploy sets it to what KOTS says"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn helm_and_kots_are_named() {
        let metadata = json!({"metadata": {
            "labels": {"app.kubernetes.io/managed-by": "Helm", "kots.io/app-slug": "circleci-server"},
            "annotations": {"meta.helm.sh/release-name": "shop"},
        }});
        let said = managers(&metadata);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("Helm release shop") && said[1].contains("circleci-server"), "{said:?}");
        assert_eq!(managers(&json!({"metadata": {}})), Vec::<String>::new());
    }
}
