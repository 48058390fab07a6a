//! `v1.PodStatus` ↔ [`PodStatus`].

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use smol_str::SmolStr;

use super::types::{
    ConditionStatus, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, PodCondition, PodPhase, PodStatus,
};
use crate::time::{Timestamp, TimestampRangeError};

/// A status of the API that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A field has a value that Kubernetes does not know.
    #[error("{field}: Unsupported value: {value:?}")]
    NotSupported {
        /// The field's path, such as `status.phase`.
        field: String,
        /// The value found.
        value: String,
    },
    /// A time is out of range.
    #[error("{field}: {source}")]
    Time {
        /// The field's path.
        field: String,
        /// What is wrong with it.
        source: TimestampRangeError,
    },
}

fn time_in(
    time: Option<&Time>,
    field: impl Fn() -> String,
) -> Result<Option<Timestamp>, StatusError> {
    time.map(Timestamp::try_from)
        .transpose()
        .map_err(|source| StatusError::Time { field: field(), source })
}

fn text_in(text: Option<&String>) -> SmolStr {
    text.map(SmolStr::new).unwrap_or_default()
}

fn text_out(text: &SmolStr) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

impl TryFrom<&v1::PodStatus> for PodStatus {
    type Error = StatusError;

    fn try_from(status: &v1::PodStatus) -> Result<Self, Self::Error> {
        Ok(Self {
            phase: phase(status.phase.as_deref())?,
            reason: text_in(status.reason.as_ref()),
            message: text_in(status.message.as_ref()),
            conditions: (0..)
                .zip(status.conditions.iter().flatten())
                .map(|(index, condition)| condition_in(condition, index))
                .collect::<Result<_, _>>()?,
            init_container_statuses: statuses_in(
                status.init_container_statuses.as_deref(),
                "status.initContainerStatuses",
            )?,
            container_statuses: statuses_in(
                status.container_statuses.as_deref(),
                "status.containerStatuses",
            )?,
            ephemeral_container_statuses: statuses_in(
                status.ephemeral_container_statuses.as_deref(),
                "status.ephemeralContainerStatuses",
            )?,
            start_time: time_in(status.start_time.as_ref(), || "status.startTime".to_owned())?,
        })
    }
}

impl PodStatus {
    /// A status of the API as far as its columns are concerned, whatever it is: words that are not known
    /// are Unknown, and times end where a [`Timestamp`] does.
    pub(crate) fn printed(status: &v1::PodStatus) -> Self {
        let mut readable = status.clone();
        readable.phase = readable.phase.filter(|word| phase(Some(word)).is_ok());
        readable.start_time = None;
        for condition in readable.conditions.iter_mut().flatten() {
            if !matches!(condition.status.as_str(), "True" | "False") {
                condition.status = "Unknown".to_owned();
            }
            (condition.last_transition_time, condition.last_probe_time) = (None, None);
        }
        let lists = [
            &mut readable.init_container_statuses,
            &mut readable.container_statuses,
            &mut readable.ephemeral_container_statuses,
        ];
        for container in lists.into_iter().flatten().flatten() {
            for state in [&mut container.state, &mut container.last_state].into_iter().flatten() {
                if let Some(running) = &mut state.running {
                    clamp(&mut running.started_at);
                }
                if let Some(terminated) = &mut state.terminated {
                    clamp(&mut terminated.started_at);
                    clamp(&mut terminated.finished_at);
                }
            }
        }
        // Nothing is left that could be refused.
        let mut printed = Self::try_from(&readable).unwrap_or_default();
        if status.phase.is_some() && readable.phase.is_none() {
            printed.phase = PodPhase::Unknown;
        }
        printed
    }
}

fn clamp(time: &mut Option<Time>) {
    if let Some(time) = time {
        *time = Timestamp::clamped(time.0).into();
    }
}

fn phase(phase: Option<&str>) -> Result<PodPhase, StatusError> {
    Ok(match phase {
        None | Some("" | "Pending") => PodPhase::Pending,
        Some("Running") => PodPhase::Running,
        Some("Succeeded") => PodPhase::Succeeded,
        Some("Failed") => PodPhase::Failed,
        Some("Unknown") => PodPhase::Unknown,
        Some(other) => {
            return Err(StatusError::NotSupported {
                field: "status.phase".to_owned(),
                value: other.to_owned(),
            });
        }
    })
}

fn condition_in(condition: &v1::PodCondition, index: usize) -> Result<PodCondition, StatusError> {
    let field = |name: &str| format!("status.conditions[{index}].{name}");
    Ok(PodCondition {
        condition_type: condition.type_.as_str().into(),
        status: match condition.status.as_str() {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            "Unknown" => ConditionStatus::Unknown,
            other => {
                return Err(StatusError::NotSupported {
                    field: field("status"),
                    value: other.to_owned(),
                });
            }
        },
        reason: text_in(condition.reason.as_ref()),
        message: text_in(condition.message.as_ref()),
        last_transition_time: time_in(condition.last_transition_time.as_ref(), || {
            field("lastTransitionTime")
        })?,
        last_probe_time: time_in(condition.last_probe_time.as_ref(), || field("lastProbeTime"))?,
    })
}

fn statuses_in(
    statuses: Option<&[v1::ContainerStatus]>,
    path: &str,
) -> Result<Vec<ContainerStatus>, StatusError> {
    (0..)
        .zip(statuses.unwrap_or_default())
        .map(|(index, status)| container_status_in(status, &format!("{path}[{index}]")))
        .collect()
}

/// One container status of the API; `path` names it in errors.
pub(crate) fn container_status_in(
    status: &v1::ContainerStatus,
    path: &str,
) -> Result<ContainerStatus, StatusError> {
    Ok(ContainerStatus {
        name: status.name.as_str().into(),
        state: state_in(status.state.as_ref(), path, "state")?,
        last_termination_state: state_in(status.last_state.as_ref(), path, "lastState")?,
        ready: status.ready,
        started: status.started,
        restart_count: status.restart_count,
        image: status.image.as_str().into(),
        image_id: status.image_id.as_str().into(),
        container_id: text_in(status.container_id.as_ref()),
    })
}

fn state_in(
    state: Option<&v1::ContainerState>,
    path: &str,
    name: &str,
) -> Result<ContainerState, StatusError> {
    let Some(state) = state else { return Ok(ContainerState::default()) };
    let field = |rest: &str| format!("{path}.{name}.{rest}");
    let running = state.running.as_ref().map(|running| {
        let started_at = time_in(running.started_at.as_ref(), || field("running.startedAt"))?;
        Ok(ContainerStateRunning { started_at })
    });
    let terminated = state.terminated.as_ref().map(|terminated| {
        Ok(ContainerStateTerminated {
            exit_code: terminated.exit_code,
            signal: terminated.signal.unwrap_or(0),
            reason: text_in(terminated.reason.as_ref()),
            message: text_in(terminated.message.as_ref()),
            started_at: time_in(terminated.started_at.as_ref(), || field("terminated.startedAt"))?,
            finished_at: time_in(terminated.finished_at.as_ref(), || {
                field("terminated.finishedAt")
            })?,
            container_id: text_in(terminated.container_id.as_ref()),
        })
    });
    Ok(ContainerState {
        waiting: state.waiting.as_ref().map(|waiting| ContainerStateWaiting {
            reason: text_in(waiting.reason.as_ref()),
            message: text_in(waiting.message.as_ref()),
        }),
        running: running.transpose()?,
        terminated: terminated.transpose()?,
    })
}

impl From<&PodStatus> for v1::PodStatus {
    fn from(status: &PodStatus) -> Self {
        let statuses = |list: &[ContainerStatus]| {
            (!list.is_empty()).then(|| list.iter().map(v1::ContainerStatus::from).collect())
        };
        Self {
            phase: Some(status.phase.as_str().to_owned()),
            reason: text_out(&status.reason),
            message: text_out(&status.message),
            conditions: Some(status.conditions.iter().map(v1::PodCondition::from).collect()),
            init_container_statuses: statuses(&status.init_container_statuses),
            container_statuses: statuses(&status.container_statuses),
            ephemeral_container_statuses: statuses(&status.ephemeral_container_statuses),
            start_time: status.start_time.map(Into::into),
            ..Self::default()
        }
    }
}

impl From<&PodCondition> for v1::PodCondition {
    fn from(condition: &PodCondition) -> Self {
        Self {
            type_: condition.condition_type.to_string(),
            status: condition.status.as_str().to_owned(),
            reason: text_out(&condition.reason),
            message: text_out(&condition.message),
            last_transition_time: condition.last_transition_time.map(Into::into),
            last_probe_time: condition.last_probe_time.map(Into::into),
            ..Self::default()
        }
    }
}

impl From<&ContainerStatus> for v1::ContainerStatus {
    fn from(status: &ContainerStatus) -> Self {
        Self {
            name: status.name.to_string(),
            state: Some(v1::ContainerState::from(&status.state)),
            last_state: Some(v1::ContainerState::from(&status.last_termination_state)),
            ready: status.ready,
            started: status.started,
            restart_count: status.restart_count,
            image: status.image.to_string(),
            image_id: status.image_id.to_string(),
            container_id: text_out(&status.container_id),
            ..Self::default()
        }
    }
}

impl From<&ContainerState> for v1::ContainerState {
    fn from(state: &ContainerState) -> Self {
        Self {
            waiting: state.waiting.as_ref().map(|waiting| v1::ContainerStateWaiting {
                reason: text_out(&waiting.reason),
                message: text_out(&waiting.message),
            }),
            running: state.running.as_ref().map(|running| v1::ContainerStateRunning {
                started_at: running.started_at.map(Into::into),
            }),
            terminated: state.terminated.as_ref().map(|terminated| v1::ContainerStateTerminated {
                exit_code: terminated.exit_code,
                signal: (terminated.signal != 0).then_some(terminated.signal),
                reason: text_out(&terminated.reason),
                message: text_out(&terminated.message),
                started_at: terminated.started_at.map(Into::into),
                finished_at: terminated.finished_at.map(Into::into),
                container_id: text_out(&terminated.container_id),
            }),
        }
    }
}
