//! What a simulated pod keeps from others only because of its init containers, over time.

use core::fmt;
use core::time::Duration;

use super::timeline::{End, Step, Timeline};
use crate::container::ContainerKind;
use crate::go_duration::GoDuration;
use crate::quantity::Quantity;
use crate::resources::{PodResources, PodResourcesOptions, ResourceList};
use crate::worker::SyncKind;

/// What a simulated pod reserves only because of its one-shot init containers, and for how long, see
/// [`Timeline::init_reserve`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitReserve {
    /// How much, at every instant: see [`init_only_requests`](crate::resources::init_only_requests).
    pub requests: ResourceList,
    /// How long it is there for init containers to use.
    pub initializing: Duration,
    /// How long it lies idle, since the pod is initialized.
    pub initialized: Duration,
}

impl InitReserve {
    /// The integral over the time in which the pod is initializing, in units times seconds:
    /// core-seconds of CPU, byte-seconds of memory.
    ///
    /// Amounts below a billionth are rounded up, and those beyond 128 bits stop there.
    pub fn while_initializing(&self) -> ResourceList {
        self.integral(self.initializing)
    }

    /// The same over the time in which the pod is initialized and no init container needs it.
    pub fn idle(&self) -> ResourceList {
        self.integral(self.initialized)
    }

    fn integral(&self, time: Duration) -> ResourceList {
        let of = |quantity: Quantity| quantity.saturating_mul_seconds(time);
        self.requests.iter().map(|(name, quantity)| (name.clone(), of(*quantity))).collect()
    }
}

impl fmt::Display for InitReserve {
    /// Three lines: how much, and the integrals with their times.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, initializing, initialized } = self;
        if requests.is_empty() {
            return f.write_str("nothing only for init containers");
        }
        writeln!(f, "only for init containers: {requests}")?;
        let (used, idle) = (self.while_initializing(), self.idle());
        writeln!(f, "times {} of initializing: {used}", GoDuration(*initializing))?;
        write!(f, "times {} of lying idle: {idle}", GoDuration(*initialized))
    }
}

impl Timeline {
    /// What the pod reserves only because of its one-shot init containers, from its acceptance by
    /// the kubelet until `until`, counted from there.
    ///
    /// The scheduler reserves the whole of [`pod_requests`](crate::resources::pod_requests) as long
    /// as it counts the pod: until the API server knows it as Succeeded or Failed
    /// ([`is_assigned`](crate::scheduler::is_assigned)), or a deleted pod is gone, which is at the
    /// last step. If neither comes, what the last step shows is taken to go on until `until`.
    ///
    /// The pod is **initializing** until the kubelet starts app containers; again from a new sandbox
    /// on, or when a restart in place starts an init container. This goes by the kubelet's actions:
    /// of a second initialization the condition `Initialized` need not tell.
    ///
    /// `pod` is the simulated pod; each option counts as in `pod_requests`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use podinit::resources::{PodResources, PodResourcesOptions};
    /// use podinit::sim::{ContainerScript, Run, Scenario, simulate};
    /// use podinit::{FeatureGates, PodSpec};
    ///
    /// let pod = serde_json::from_value(serde_json::json!({
    ///     "metadata": {"name": "web"},
    ///     "spec": {
    ///         "initContainers": [{"name": "migrate", "image": "db-tools:1",
    ///             "resources": {"requests": {"cpu": "1"}}}],
    ///         "containers": [{"name": "app", "image": "web:1",
    ///             "resources": {"requests": {"cpu": "250m"}}}],
    ///     },
    /// }))?;
    /// let resources = PodResources::compile(&pod, FeatureGates::default())?;
    /// let pod = PodSpec::compile(&pod, FeatureGates::default())?;
    /// let half_a_minute = ContainerScript::runs([Run::ends(Duration::from_secs(30), 0)]);
    /// let timeline = simulate(&pod, &Scenario::default().script("migrate", half_a_minute));
    ///
    /// let hour = Duration::from_secs(3_600);
    /// let reserve = timeline.init_reserve(&resources, &PodResourcesOptions::default(), hour);
    /// assert_eq!(reserve.requests.to_string(), "cpu: 750m");
    /// // Three quarters of a core for 30 s, and then for the rest of the hour.
    /// assert_eq!(reserve.while_initializing().to_string(), "cpu: 22500m");
    /// assert_eq!(reserve.idle().to_string(), "cpu: 2677500m");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn init_reserve(
        &self,
        pod: &PodResources,
        options: &PodResourcesOptions<'_>,
        until: Duration,
    ) -> InitReserve {
        let mut reserve =
            InitReserve { requests: pod.init_only_requests(options), ..InitReserve::default() };
        let mut since = Duration::ZERO;
        let mut is_initializing = true;
        let mut spend = |is_initializing: bool, to: Duration| {
            let to = to.min(until);
            let spent = to.saturating_sub(since);
            since = since.max(to);
            if is_initializing {
                reserve.initializing += spent;
            } else {
                reserve.initialized += spent;
            }
        };
        for step in &self.steps {
            spend(is_initializing, step.at);
            if step.api_status.phase.is_terminal() {
                return reserve;
            }
            is_initializing = step.initializes(pod).unwrap_or(is_initializing);
        }
        if self.end != End::Deleted {
            spend(is_initializing, until);
        }
        reserve
    }
}

impl Step {
    /// Is the pod initializing after this step? `None`: as before.
    fn initializes(&self, pod: &PodResources) -> Option<bool> {
        let actions = Some(&self.actions).filter(|_| self.kind == SyncKind::Pod)?;
        let is_one_shot = |container| pod.container_kind(container) == ContainerKind::Init;
        if !actions.containers_to_start.is_empty() {
            Some(false)
        } else if actions.create_sandbox
            || actions.init_starts().any(|start| is_one_shot(start.container))
        {
            Some(true)
        } else {
            None
        }
    }
}
