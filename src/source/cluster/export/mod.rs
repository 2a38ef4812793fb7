//! Objects for a person to read, and for `kubectl apply` to take.

mod yaml;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::model::{ByteStream, FailureClass, SourceFailure};
use crate::source::cluster::restore::rules::{Index, Object, clean_for_export, skip};
use crate::source::cluster::{Lines, kind_words, split_objects};

/// Which objects of a capture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// Only that one, whatever makes it: `deployment/web`, `Deployment.apps/web`.
    pub object: Option<ObjectName>,
    /// Only what lies in it, and the namespace itself.
    pub namespace: Option<String>,
}

/// As a person names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// Singular, plural or short, in any case.
    kind: String,
    group: Option<String>,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an object is named KIND/NAME, such as deployment/web or Certificate.cert-manager.io/shop")]
pub struct NoObjectName;

impl std::str::FromStr for ObjectName {
    type Err = NoObjectName;

    fn from_str(text: &str) -> Result<Self, NoObjectName> {
        let (kind, name) = text.split_once('/').ok_or(NoObjectName)?;
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group.to_owned())),
            None => (kind, None),
        };
        if kind.is_empty() || name.is_empty() {
            return Err(NoObjectName);
        }
        Ok(Self { kind: kind.to_lowercase(), group, name: name.to_owned() })
    }
}

impl ObjectName {
    fn is(&self, object: &Object) -> bool {
        let gvk = &object.reference.gvk;
        self.name == object.reference.name
            && self.group.as_ref().is_none_or(|group| *group == gvk.group)
            && kind_words::means(&self.kind, &gvk.kind)
    }
}

impl Export {
    fn wants(&self, object: &Object) -> bool {
        let inside = |name: &String| match is_namespace(object) {
            true => object.reference.name == *name,
            false => object.reference.namespace.as_ref() == Some(name),
        };
        self.object.as_ref().is_none_or(|name| name.is(object)) && self.namespace.as_ref().is_none_or(inside)
    }
}

fn is_namespace(object: &Object) -> bool {
    object.reference.gvk.group.is_empty() && object.reference.gvk.kind == "Namespace"
}

/// The stream `objects` as YAML documents. It is read twice: what makes an object may come behind it. Namespaces come
/// first, so that what lies in them can be applied in the order of the file.
///
/// What a cluster makes by itself is left out, each with its reason as a comment. Fails if nothing is left.
pub fn export(export: Export, first: ByteStream, again: ByteStream) -> ByteStream {
    let begun = async move {
        let (mut index, mut namespaces) = (Index::new(), Vec::new());
        let mut lines = objects(first);
        while let Some(line) = lines.next().await? {
            index.add(&line.object);
            if is_namespace(&line.object) {
                namespaces.push(line.object);
            }
        }
        let mut writing = Writing { export, index, objects: 0, done: false };
        let first: String = namespaces.into_iter().map(|namespace| writing.document(namespace)).collect();
        let rest = stream::try_unfold((writing, objects(again)), |(mut writing, mut lines)| async move {
            if writing.done {
                return Ok(None);
            }
            let text = match lines.next().await? {
                Some(line) if is_namespace(&line.object) => String::new(),
                Some(line) => writing.document(line.object),
                None => writing.end()?,
            };
            Ok(Some((Bytes::from(text), (writing, lines))))
        });
        Ok::<_, SourceFailure>(stream::once(std::future::ready(Ok(Bytes::from(first)))).chain(rest))
    };
    let all = stream::once(begun).try_flatten();
    all.try_filter(|bytes| std::future::ready(!bytes.is_empty())).boxed()
}

fn objects(input: ByteStream) -> Lines {
    Lines::of(split_objects("objects".into(), input))
}

struct Writing {
    export: Export,
    index: Index,
    objects: u64,
    done: bool,
}

impl Writing {
    fn document(&mut self, object: Object) -> String {
        if !self.export.wants(&object) {
            return String::new();
        }
        // One object, asked for by name, is shown whoever makes it.
        if self.export.object.is_none()
            && let Some(skip) = skip(&object, &self.index)
        {
            return format!("# left out: {}: {skip}\n", object.reference);
        }
        self.objects += 1;
        format!("---\n{}", yaml::document(&clean_for_export(object, &self.index)))
    }

    fn end(&mut self) -> Result<String, SourceFailure> {
        self.done = true;
        if self.objects > 0 {
            return Ok(String::new());
        }
        let message = "the backup holds no such object, or only such as a cluster makes by itself";
        Err(SourceFailure::new(FailureClass::Configuration, "stream objects", message)
            .cure("lifeboat cat BACKUP SOURCE objects | jq -r '[.kind, .metadata.namespace, .metadata.name] | @tsv' lists them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","uid":"1","resourceVersion":"7"},"data":{"x":"yes"}}"#,
        "\n",
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","namespace":"shop","uid":"2","ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"3","controller":true}]}}"#,
        "\n",
        r#"{"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"web","namespace":"shop","uid":"3"},"spec":{"replicas":1}}"#,
        "\n",
    );

    async fn exported(object: Option<&str>, namespace: Option<&str>) -> Result<String, String> {
        let bytes = || stream::iter(LINES.as_bytes().chunks(50).map(|piece| Ok(Bytes::from_static(piece)))).boxed();
        let wanted =
            Export { object: object.map(|text| text.parse().unwrap()), namespace: namespace.map(str::to_owned) };
        let pieces: Result<Vec<Bytes>, _> = export(wanted, bytes(), bytes()).try_collect().await;
        pieces.map(|pieces| String::from_utf8(pieces.concat()).unwrap()).map_err(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn what_a_cluster_makes_by_itself_is_only_named() {
        let text = exported(None, Some("shop")).await.unwrap();
        let wanted = "---\napiVersion: v1\ndata:\n  x: \"yes\"\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: shop\n# left out: Pod.v1 shop/web-1: ";
        assert!(text.starts_with(wanted), "{text}");
        assert!(
            text.ends_with("kind: ReplicaSet\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  replicas: 1\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn one_object_is_found_as_people_name_it() {
        for name in ["pod/web-1", "Pods/web-1", "POD./web-1"] {
            let text = exported(Some(name), None).await.unwrap();
            assert!(text.contains("name: web-1") && text.matches("---").count() == 1, "{text}");
        }
        assert!(exported(Some("replicasets.apps/web"), Some("shop")).await.is_ok());
        for (name, namespace) in
            [(Some("pod.apps/web-1"), None), (Some("pod/web-1"), Some("other")), (None, Some("other"))]
        {
            assert!(exported(name, namespace).await.unwrap_err().contains("no such object"));
        }
        assert!("web".parse::<ObjectName>().is_err() && "/web".parse::<ObjectName>().is_err());
    }
}
