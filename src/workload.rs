//! Objects that make pods from a template.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec::Vec;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

/// An object that makes pods from a template.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Workload {
    /// Pods that are replaced step by step.
    Deployment(Box<apps::Deployment>),
    /// Pods with a name and volumes of their own.
    StatefulSet(Box<apps::StatefulSet>),
    /// A pod on each node.
    DaemonSet(Box<apps::DaemonSet>),
    /// So many pods.
    ReplicaSet(Box<apps::ReplicaSet>),
    /// So many pods, as it was done before there were ReplicaSets.
    ReplicationController(Box<v1::ReplicationController>),
    /// Pods that run to their end.
    Job(Box<batch::Job>),
    /// Jobs at their time.
    CronJob(Box<batch::CronJob>),
    /// A template alone.
    PodTemplate(Box<v1::PodTemplate>),
}

/// A template of pods, and where it stands in its workload.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Template<'a> {
    /// Its path, such as `spec.template`.
    pub path: &'static str,
    /// The path of the pods' spec, such as `spec.template.spec`.
    pub spec_path: &'static str,
    /// The template.
    pub template: &'a v1::PodTemplateSpec,
}

/// `apiVersion` and `kind` of each workload.
pub(crate) const KINDS: [(&str, &str); 8] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("v1", "ReplicationController"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("v1", "PodTemplate"),
];

/// A field that some versions of the API types always have, and others may leave out.
pub(crate) trait OrDefault<T> {
    /// The field, made if it is not there.
    fn or_default(&mut self) -> &mut T;
}

impl<T> OrDefault<T> for T {
    fn or_default(&mut self) -> &mut T {
        self
    }
}

impl<T: Default> OrDefault<T> for Option<T> {
    fn or_default(&mut self) -> &mut T {
        self.get_or_insert_default()
    }
}

impl Workload {
    /// Its `kind`, such as `Deployment`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Deployment(_) => "Deployment",
            Self::StatefulSet(_) => "StatefulSet",
            Self::DaemonSet(_) => "DaemonSet",
            Self::ReplicaSet(_) => "ReplicaSet",
            Self::ReplicationController(_) => "ReplicationController",
            Self::Job(_) => "Job",
            Self::CronJob(_) => "CronJob",
            Self::PodTemplate(_) => "PodTemplate",
        }
    }

    /// Its metadata.
    pub const fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Deployment(object) => &object.metadata,
            Self::StatefulSet(object) => &object.metadata,
            Self::DaemonSet(object) => &object.metadata,
            Self::ReplicaSet(object) => &object.metadata,
            Self::ReplicationController(object) => &object.metadata,
            Self::Job(object) => &object.metadata,
            Self::CronJob(object) => &object.metadata,
            Self::PodTemplate(object) => &object.metadata,
        }
    }

    /// Its templates: one, or none if it leaves it out.
    pub fn templates(&self) -> impl Iterator<Item = Template<'_>> {
        let (path, spec_path) = self.paths();
        let template = match self {
            Self::Deployment(object) => {
                Option::<&apps::DeploymentSpec>::from(&object.spec).map(|spec| &spec.template)
            }
            Self::StatefulSet(object) => {
                Option::<&apps::StatefulSetSpec>::from(&object.spec).map(|spec| &spec.template)
            }
            Self::DaemonSet(object) => {
                Option::<&apps::DaemonSetSpec>::from(&object.spec).map(|spec| &spec.template)
            }
            Self::ReplicaSet(object) => Option::<&apps::ReplicaSetSpec>::from(&object.spec)
                .and_then(|spec| spec.template.as_ref()),
            Self::ReplicationController(object) => {
                Option::<&v1::ReplicationControllerSpec>::from(&object.spec)
                    .and_then(|spec| spec.template.as_ref())
            }
            Self::Job(object) => {
                Option::<&batch::JobSpec>::from(&object.spec).map(|spec| &spec.template)
            }
            Self::CronJob(object) => {
                let spec = Option::<&batch::CronJobSpec>::from(&object.spec);
                let job =
                    spec.and_then(|spec| Option::<&batch::JobSpec>::from(&spec.job_template.spec));
                job.map(|job| &job.template)
            }
            Self::PodTemplate(object) => object.template.as_ref(),
        };
        template.into_iter().map(move |template| Template { path, spec_path, template })
    }

    /// The selector of those kinds that have one of labels and expressions.
    pub(crate) fn selector_mut(&mut self) -> Option<&mut LabelSelector> {
        match self {
            Self::Deployment(object) => Option::<&mut apps::DeploymentSpec>::from(&mut object.spec)
                .map(|spec| &mut spec.selector),
            Self::StatefulSet(object) => {
                Option::<&mut apps::StatefulSetSpec>::from(&mut object.spec)
                    .map(|spec| &mut spec.selector)
            }
            Self::DaemonSet(object) => Option::<&mut apps::DaemonSetSpec>::from(&mut object.spec)
                .map(|spec| &mut spec.selector),
            Self::ReplicaSet(object) => Option::<&mut apps::ReplicaSetSpec>::from(&mut object.spec)
                .map(|spec| &mut spec.selector),
            Self::ReplicationController(_)
            | Self::Job(_)
            | Self::CronJob(_)
            | Self::PodTemplate(_) => None,
        }
    }

    pub(crate) fn template_mut(&mut self) -> Option<&mut v1::PodTemplateSpec> {
        match self {
            Self::Deployment(object) => Option::<&mut apps::DeploymentSpec>::from(&mut object.spec)
                .map(|spec| &mut spec.template),
            Self::StatefulSet(object) => {
                Option::<&mut apps::StatefulSetSpec>::from(&mut object.spec)
                    .map(|spec| &mut spec.template)
            }
            Self::DaemonSet(object) => Option::<&mut apps::DaemonSetSpec>::from(&mut object.spec)
                .map(|spec| &mut spec.template),
            Self::ReplicaSet(object) => Option::<&mut apps::ReplicaSetSpec>::from(&mut object.spec)
                .and_then(|spec| spec.template.as_mut()),
            Self::ReplicationController(object) => {
                Option::<&mut v1::ReplicationControllerSpec>::from(&mut object.spec)
                    .and_then(|spec| spec.template.as_mut())
            }
            Self::Job(object) => {
                Option::<&mut batch::JobSpec>::from(&mut object.spec).map(|spec| &mut spec.template)
            }
            Self::CronJob(object) => {
                let spec = Option::<&mut batch::CronJobSpec>::from(&mut object.spec);
                let job = spec.and_then(|spec| {
                    Option::<&mut batch::JobSpec>::from(&mut spec.job_template.spec)
                });
                job.map(|job| &mut job.template)
            }
            Self::PodTemplate(object) => object.template.as_mut(),
        }
    }

    /// Where the template and the pods' spec stand.
    pub(crate) const fn paths(&self) -> (&'static str, &'static str) {
        match self {
            Self::CronJob(_) => {
                ("spec.jobTemplate.spec.template", "spec.jobTemplate.spec.template.spec")
            }
            Self::PodTemplate(_) => ("template", "template.spec"),
            _ => ("spec.template", "spec.template.spec"),
        }
    }

    /// The pods that it would make, one of each template, named after it. The pod of a Job is owned
    /// by one.
    pub fn pods(&self) -> Vec<v1::Pod> {
        let pod = |template: Template<'_>| {
            let mut metadata = template.template.metadata.clone().unwrap_or_default();
            let own = self.metadata();
            metadata.name = metadata.name.or_else(|| own.name.clone());
            metadata.namespace = metadata.namespace.or_else(|| own.namespace.clone());
            if matches!(self, Self::Job(_) | Self::CronJob(_)) {
                metadata.owner_references.get_or_insert_default().push(owner(own));
            }
            v1::Pod { metadata, spec: template.template.spec.clone(), status: None }
        };
        self.templates().map(pod).collect()
    }
}

/// The UID of nothing.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

fn owner(job: &ObjectMeta) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        // What is not created yet has no UID, and perhaps no name.
        name: job.name.clone().unwrap_or_else(|| "job".to_owned()),
        uid: job.uid.clone().unwrap_or_else(|| NO_UID.to_owned()),
        controller: Some(true),
        ..Default::default()
    }
}
