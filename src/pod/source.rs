//! The pod that a [`PodSpec`] was compiled from, which is also its serialised form.

use alloc::string::ToString;

use k8s_openapi::api::core::v1;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Extensions, PodSpec};
use crate::container::ContainerIndex;
use crate::version::FeatureGates;

/// Gives a container another image.
pub(super) fn set_image(pod: &mut v1::Pod, container: ContainerIndex, image: &str) {
    let Some(spec) = &mut pod.spec else { return };
    let init = spec.init_containers.iter_mut().flatten().map(|container| &mut container.image);
    let apps = spec.containers.iter_mut().map(|container| &mut container.image);
    let ephemeral = spec.ephemeral_containers.iter_mut().flatten();
    let ephemeral = ephemeral.map(|container| &mut container.image);
    if let Some(declared) = init.chain(apps).chain(ephemeral).nth(container.slot()) {
        *declared = Some(image.to_string());
    }
}

#[derive(Serialize)]
struct Written<'a> {
    gates: FeatureGates,
    extensions: Extensions,
    pod: &'a v1::Pod,
}

#[derive(Deserialize)]
struct Read {
    gates: FeatureGates,
    extensions: Extensions,
    pod: v1::Pod,
}

impl Serialize for PodSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { gates, extensions, source, .. } = self;
        Written { gates: *gates, extensions: *extensions, pod: source }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PodSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { gates, extensions, pod } = Read::deserialize(deserializer)?;
        let spec = Self::compile_unchecked(&pod, gates).map_err(serde::de::Error::custom)?;
        Ok(spec.with_extensions(extensions))
    }
}
