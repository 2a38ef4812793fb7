//! Numbers of replicas that an autoscaler changes all day are no difference.
//!
//! Autoscalers come after what they scale in the stream, so that workloads with another number wait for the end.

use std::collections::HashSet;

use crate::source::cluster::ObjectRef;
use crate::source::cluster::diff::{Change, Difference, ObjectsDiff};
use crate::source::cluster::lines::Line;
use crate::source::cluster::restore::rules::{Object, Scaled, scale_target, scales_both};

const REPLICAS: &str = "/spec/replicas";

#[derive(Debug, Default)]
pub(super) struct Autoscaled {
    /// What the autoscalers of either side scale.
    targets: HashSet<Scaled>,
    /// Workloads with another number of replicas, and what else is different in them.
    waiting: Vec<(ObjectRef, Vec<Change>)>,
}

impl Autoscaled {
    pub fn see(&mut self, object: &Object) {
        self.targets.extend(scale_target(object));
    }

    pub fn may_be(&self, fields: &[Change], before: &Line, after: &Line) -> bool {
        fields.iter().any(|field| field.path == REPLICAS) && scales_both(&before.object.value, &after.object.value)
    }

    pub fn wait(&mut self, object: &Object, fields: Vec<Change>) {
        self.waiting.push((object.reference.clone(), fields));
    }

    /// Both sides were read to their ends.
    pub fn settle(self, diff: &mut ObjectsDiff) {
        let waited = !self.waiting.is_empty();
        for (object, mut fields) in self.waiting {
            let ObjectRef { gvk, namespace, name } = &object;
            let id = (gvk.group.clone(), gvk.kind.clone(), namespace.clone(), name.clone());
            if self.targets.contains(&id) {
                fields.retain(|field| field.path != REPLICAS);
            }
            match fields.is_empty() {
                true => diff.same += 1,
                false => diff.tell_of(&object, Difference::Changed, fields),
            }
        }
        if waited {
            diff.objects.sort_by(|one, other| one.object.cmp(&other.object));
        }
    }
}
