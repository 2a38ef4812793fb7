//! Fields of live objects that the backup lacks by right, kind by kind: a rule took them out, or a controller of that
//! very kind fills them in later.
//!
//! Defaults are not here. The server that was captured wrote its own into the backup, and of those that another server
//! adds only that server knows: it is asked.

use crate::source::cluster::Gvk;

/// JSON pointers. A `*` is any one segment.
type Paths = &'static [&'static str];

/// Allotted by the server; `prepare` takes them out of what is sent.
const SERVICE: Paths = &["/spec/clusterIP", "/spec/clusterIPs", "/spec/healthCheckNodePort", "/spec/ports/*/nodePort"];
/// A volume is bound by its controller.
const VOLUME: Paths = &["/spec/claimRef", "/spec/claimRef/*"];
/// So is a claim, and one without a class gets the default one. What it was filled from once is taken out.
const CLAIM: Paths = &["/spec/volumeName", "/spec/storageClassName", "/spec/dataSource", "/spec/dataSourceRef"];
/// By its UID and its name a job knows its pods.
const JOB: Paths = &[
    "/spec/selector",
    "/spec/selector/matchLabels/controller-uid",
    "/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid",
    "/spec/template/metadata/labels/controller-uid",
    "/spec/template/metadata/labels/job-name",
    "/spec/template/metadata/labels/batch.kubernetes.io~1controller-uid",
    "/spec/template/metadata/labels/batch.kubernetes.io~1job-name",
];
/// What is signed for an account.
const TOKEN: Paths = &["/data/token", "/data/ca.crt", "/data/namespace"];
const NAMESPACE: Paths = &["/spec/finalizers"];

/// Those of one object's kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled(Paths);

impl Filled {
    /// `token`: it is a Secret that the server fills.
    pub fn of(gvk: &Gvk, token: bool) -> Self {
        Self(match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("", "Service") => SERVICE,
            ("", "PersistentVolume") => VOLUME,
            ("", "PersistentVolumeClaim") => CLAIM,
            ("", "Secret") if token => TOKEN,
            ("", "Namespace") => NAMESPACE,
            ("batch", "Job") => JOB,
            _ => &[],
        })
    }

    pub fn has(self, pointer: &str) -> bool {
        self.0.iter().any(|path| matches(path, pointer, false))
    }

    /// Whether something inside may be filled in.
    pub fn has_below(self, pointer: &str) -> bool {
        self.0.iter().any(|path| matches(path, pointer, true))
    }
}

/// Whether a path is that of the pointer or, if `longer`, leads through it.
fn matches(path: &str, pointer: &str, longer: bool) -> bool {
    let mut path = path.split('/');
    let fits = pointer.split('/').all(|segment| path.next().is_some_and(|wanted| wanted == "*" || wanted == segment));
    fits && path.next().is_some() == longer
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("v1", "Service", "/spec/clusterIP", true)]
    #[case("v1", "Service", "/spec/ports/3/nodePort", true)]
    #[case("v1", "Service", "/spec/ports/3/appProtocol", false)]
    #[case("v1", "Service", "/spec/ports", false)]
    #[case("v1", "Service", "/spec/externalIPs", false)]
    #[case("v1", "Secret", "/data/token", false)]
    #[case("batch/v1", "Job", "/spec/selector/matchLabels/batch.kubernetes.io~1controller-uid", true)]
    #[case("batch/v1", "Job", "/spec/parallelism", false)]
    #[case("apps/v1", "Deployment", "/spec/selector", false)]
    #[case("example.com/v1", "Service", "/spec/clusterIP", false)]
    fn of_one_kind_at_one_place(
        #[case] api_version: &str,
        #[case] kind: &str,
        #[case] pointer: &str,
        #[case] wanted: bool,
    ) {
        assert_eq!(Filled::of(&Gvk::new(api_version, kind), false).has(pointer), wanted);
    }

    #[test]
    fn a_map_may_hold_what_is_filled_in() {
        let token = Filled::of(&Gvk::new("v1", "Secret"), true);
        assert!(token.has("/data/token") && !token.has("/data/more") && !token.has("/data"));
        assert!(token.has_below("/data") && !token.has_below("/data/token") && !token.has_below("/more"));
    }
}
