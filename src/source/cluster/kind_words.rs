//! Kinds as people type them: `deploy`, `deployments`, `Deployment`.

/// Short names of kinds that every cluster has, and the kind that each stands for.
const SHORT: [(&str, &str); 28] = [
    ("cj", "cronjob"),
    ("cm", "configmap"),
    ("crd", "customresourcedefinition"),
    ("crds", "customresourcedefinition"),
    ("cs", "componentstatus"),
    ("csr", "certificatesigningrequest"),
    ("deploy", "deployment"),
    ("ds", "daemonset"),
    ("ep", "endpoints"),
    ("ev", "event"),
    ("hpa", "horizontalpodautoscaler"),
    ("ing", "ingress"),
    ("limits", "limitrange"),
    ("netpol", "networkpolicy"),
    ("no", "node"),
    ("ns", "namespace"),
    ("pc", "priorityclass"),
    ("pdb", "poddisruptionbudget"),
    ("po", "pod"),
    ("pv", "persistentvolume"),
    ("pvc", "persistentvolumeclaim"),
    ("quota", "resourcequota"),
    ("rc", "replicationcontroller"),
    ("rs", "replicaset"),
    ("sa", "serviceaccount"),
    ("sc", "storageclass"),
    ("sts", "statefulset"),
    ("svc", "service"),
];

/// Whether a word, in any case, means that kind. The stream does not know plurals; English does. Of custom resources
/// there are no short names here.
pub(in crate::source::cluster) fn means(word: &str, kind: &str) -> bool {
    let (word, kind) = (word.to_lowercase(), kind.to_lowercase());
    let plural =
        |ending: &str, with: &str| kind.strip_suffix(ending).is_some_and(|stem| word == format!("{stem}{with}"));
    let short = || SHORT.iter().any(|(short, long)| *short == word && *long == kind);
    word == kind || plural("", "s") || plural("", "es") || plural("y", "ies") || short()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_plural_and_short() {
        for (word, kind) in [
            ("deploy", "Deployment"),
            ("deployments", "Deployment"),
            ("Deployment", "Deployment"),
            ("svc", "Service"),
            ("ingresses", "Ingress"),
            ("networkpolicies", "NetworkPolicy"),
            ("gateways", "Gateway"),
            ("endpoints", "Endpoints"),
        ] {
            assert!(means(word, kind), "{word}");
        }
        for (word, kind) in [("deploy", "DaemonSet"), ("svc", "ServiceAccount"), ("dep", "Deployment")] {
            assert!(!means(word, kind), "{word}");
        }
    }
}
