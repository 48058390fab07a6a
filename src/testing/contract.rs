//! What every container runtime must keep to.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use smol_str::SmolStr;

use super::calls::{Async, Blocking, Calls, run};
use crate::observation::{ContainerInstance, InstanceState, Observation, Sandbox};
use crate::pod::{ContainerIndex, PodSpec};
use crate::runtime::{AsyncContainerRuntime, ContainerRuntime};
use crate::termination::{GraceRequest, TerminationPlan};

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $check:ident;)+) => {
        /// A rule that every runtime keeps, blocking or async, so that the kubelet's decisions make
        /// sense on it.
        ///
        /// Each is part of the container runtime interface (CRI) as the kubelet uses it; its source
        /// is `pkg/kubelet/kuberuntime`, v1.36.2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ContractRule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ContractRule {
            /// All of them, in the order in which they are checked.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name: `newest-first`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            async fn check<R: Calls>(self, case: &mut Case<'_, R>) -> Result<(), Broken> {
                match self { $(Self::$name => case.$check().await,)+ }
            }
        }
    };
}

rules! {
    /// A runtime that knows nothing of a pod observes nothing of it.
    EmptyAtFirst = "empty-at-first", empty_at_first;
    /// The clock does not go back.
    ClockGoesForward = "clock-goes-forward", clock_goes_forward;
    /// A sandbox that was made is observed under the id that was given: ready, with the attempt that
    /// was asked for, in the network that the pod wants, and with an IP address if that is its own.
    SandboxIsReady = "sandbox-is-ready", sandbox_is_ready;
    /// A sandbox that was stopped is not ready, and stopping it again is no error.
    SandboxStops = "sandbox-stops", sandbox_stops;
    /// Sandboxes and instances are observed newest first.
    NewestFirst = "newest-first", newest_first;
    /// An image that was pulled is present.
    PulledImageIsPresent = "pulled-image-is-present", pulled_image_is_present;
    /// An instance that was created is observed under the id that was given: Created, in its
    /// sandbox, with the restart count that was asked for.
    CreatedInstance = "created-instance", created_instance;
    /// An instance that was started runs, and says since when.
    StartedInstance = "started-instance", started_instance;
    /// An instance that was stopped has exited, says when, and stopping it again is no error.
    StoppedInstance = "stopped-instance", stopped_instance;
    /// An instance that was removed is gone, others stay, and removing it again is no error.
    RemovedInstance = "removed-instance", removed_instance;
    /// No id is given twice, also not after a removal.
    FreshIds = "fresh-ids", fresh_ids;
    /// Without a restart count an instance counts on from the newest log that was kept, or from 0 if
    /// no log is left.
    CountsFromLogs = "counts-from-logs", counts_from_logs;
    /// An observation changes nothing: the next one has the same sandboxes and instances.
    ObservingChangesNothing = "observing-changes-nothing", observing_changes_nothing;
}

impl fmt::Display for ContractRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A runtime does not keep to the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {message}")]
#[non_exhaustive]
pub struct ContractViolation {
    /// Which rule is broken.
    pub rule: ContractRule,
    /// What was seen, or the error of a call that should have succeeded.
    pub message: String,
}

/// A suite of checks for an implementation of [`ContainerRuntime`] or [`AsyncContainerRuntime`].
///
/// It uses the first app container of a pod, which must be one that runs until it is stopped, and
/// whose image can be pulled. A runtime may take its time over a call, but when the call has
/// returned its work must show in an observation.
///
/// ```
/// use podinit::sim::{Scenario, SimRuntime};
/// use podinit::testing::RuntimeContract;
/// use podinit::{FeatureGates, PodSpec};
///
/// let pod = serde_json::from_value(serde_json::json!({"spec": {
///     "containers": [{"name": "app", "image": "web:1"}],
/// }}))?;
/// let pod = PodSpec::compile_unchecked(&pod, FeatureGates::default())?;
/// let contract = RuntimeContract::new(&pod);
/// contract.check(|| SimRuntime::new(&pod, &Scenario::default()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The same checks for an async runtime, in a test under any executor:
///
/// ```
/// use podinit::testing::{ContractViolation, RuntimeContract};
/// use podinit::{AsyncContainerRuntime, PodSpec};
///
/// async fn keeps_the_contract<R: AsyncContainerRuntime>(
///     pod: &PodSpec,
///     connect: impl AsyncFn() -> R,
/// ) -> Result<(), ContractViolation> {
///     RuntimeContract::new(pod).check_async(|| connect()).await
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RuntimeContract<'a> {
    pod: &'a PodSpec,
}

impl<'a> RuntimeContract<'a> {
    /// With this pod.
    pub const fn new(pod: &'a PodSpec) -> Self {
        Self { pod }
    }

    /// Checks every rule, each on a runtime of its own that `make` makes and that does not know the
    /// pod yet.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check<R: ContainerRuntime>(
        &self,
        mut make: impl FnMut() -> R,
    ) -> Result<(), ContractViolation> {
        ContractRule::ALL.iter().try_for_each(|rule| self.check_rule(*rule, &mut make()))
    }

    /// Checks one rule on a runtime that does not know the pod yet.
    ///
    /// # Errors
    /// If it is broken.
    pub fn check_rule<R: ContainerRuntime>(
        &self,
        rule: ContractRule,
        runtime: &mut R,
    ) -> Result<(), ContractViolation> {
        run(self.check_calls(rule, Blocking(runtime)))
    }

    /// [`check`](Self::check) for an async runtime. Making one may take its time, too: connecting to
    /// a socket, say.
    ///
    /// It needs no executor of its own and looks at no clock but the runtime's. The future is
    /// [`Send`] if `make` and its future are.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub async fn check_async<R: AsyncContainerRuntime, F: Future<Output = R>>(
        &self,
        mut make: impl FnMut() -> F,
    ) -> Result<(), ContractViolation> {
        for rule in ContractRule::ALL {
            let mut runtime = make().await;
            self.check_rule_async(*rule, &mut runtime).await?;
        }
        Ok(())
    }

    /// [`check_rule`](Self::check_rule) for an async runtime. The future is [`Send`].
    ///
    /// # Errors
    /// If it is broken.
    pub async fn check_rule_async<R: AsyncContainerRuntime>(
        &self,
        rule: ContractRule,
        runtime: &mut R,
    ) -> Result<(), ContractViolation> {
        self.check_calls(rule, Async(runtime)).await
    }

    async fn check_calls(
        &self,
        rule: ContractRule,
        runtime: impl Calls,
    ) -> Result<(), ContractViolation> {
        let broken = |message| ContractViolation { rule, message };
        let Some(container) = self.pod.app_containers().next() else {
            return Err(broken("the pod of the contract has no app container".into()));
        };
        let mut case = Case { pod: self.pod, container, runtime };
        rule.check(&mut case).await.map_err(|Broken(message)| broken(message))
    }
}

/// What is wrong.
struct Broken(String);

fn expect(holds: bool, message: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(message())) }
}

/// One rule on one runtime. The helpers do a call and insist that it succeeds.
struct Case<'a, R> {
    pod: &'a PodSpec,
    container: ContainerIndex,
    runtime: R,
}

impl<R: Calls> Case<'_, R> {
    async fn observe(&mut self) -> Result<Observation, Broken> {
        let mut observation = Observation::new();
        succeed("observe", self.runtime.observe(self.pod, &mut observation).await)?;
        Ok(observation)
    }

    async fn sandbox(&mut self, attempt: u32) -> Result<SmolStr, Broken> {
        succeed("run_pod_sandbox", self.runtime.run_pod_sandbox(self.pod, attempt).await)
    }

    async fn stop_sandbox(&mut self, id: &str) -> Result<(), Broken> {
        succeed("stop_pod_sandbox", self.runtime.stop_pod_sandbox(self.pod, id).await)
    }

    async fn create(
        &mut self,
        sandbox: &str,
        restart_count: Option<u32>,
    ) -> Result<SmolStr, Broken> {
        succeed("pull_image", self.runtime.pull_image(self.pod, self.container).await)?;
        let (pod, container) = (self.pod, self.container);
        let created = self.runtime.create_container(pod, container, sandbox, restart_count).await;
        succeed("create_container", created)
    }

    async fn start(&mut self, id: &str) -> Result<(), Broken> {
        succeed("start_container", self.runtime.start_container(self.pod, self.container, id).await)
    }

    async fn stop(&mut self, id: &SmolStr) -> Result<(), Broken> {
        let request = GraceRequest { override_seconds: Some(1), ..GraceRequest::default() };
        let plan =
            TerminationPlan::for_container(self.pod, self.container, id.clone(), None, request);
        succeed("stop_containers", self.runtime.stop_containers(self.pod, &plan).await)
    }

    async fn remove(&mut self, id: &str, keep_log: bool) -> Result<(), Broken> {
        let removed = self.runtime.remove_container(self.pod, self.container, id, keep_log).await;
        succeed("remove_container", removed)
    }

    /// An instance in a sandbox of its own that runs.
    async fn running(&mut self) -> Result<(SmolStr, SmolStr), Broken> {
        let sandbox = self.sandbox(0).await?;
        let id = self.create(&sandbox, Some(0)).await?;
        self.start(&id).await?;
        Ok((sandbox, id))
    }

    async fn instance(&mut self, id: &str) -> Result<ContainerInstance, Broken> {
        let observation = self.observe().await?;
        let found = observation.instances(self.container).iter().find(|found| found.id == id);
        found.cloned().ok_or_else(|| Broken(format!("instance {id} is not observed")))
    }

    async fn ids(&mut self) -> Result<Vec<SmolStr>, Broken> {
        let observation = self.observe().await?;
        let instances = observation.instances(self.container).iter();
        Ok(instances.map(|instance| instance.id.clone()).collect())
    }

    async fn empty_at_first(&mut self) -> Result<(), Broken> {
        let observation = self.observe().await?;
        expect(observation == Observation::new(), || format!("{observation:?} was observed"))
    }

    async fn clock_goes_forward(&mut self) -> Result<(), Broken> {
        let before = self.runtime.now();
        self.running().await?;
        let after = self.runtime.now();
        expect(before <= after, || format!("the clock went from {before} to {after}"))
    }

    async fn sandbox_is_ready(&mut self) -> Result<(), Broken> {
        let id = self.sandbox(3).await?;
        let observation = self.observe().await?;
        let [seen] = observation.sandboxes() else {
            return Err(Broken(format!("{} sandboxes", observation.sandboxes().len())));
        };
        let host_network = self.pod.host_network();
        let has_ip = seen.has_ip || !host_network;
        let expected = Sandbox { id, ready: true, attempt: 3, has_ip, host_network };
        expect(*seen == expected, || format!("{seen:?} is not {expected:?}"))
    }

    async fn sandbox_stops(&mut self) -> Result<(), Broken> {
        let id = self.sandbox(0).await?;
        self.stop_sandbox(&id).await?;
        self.stop_sandbox(&id).await?;
        let observation = self.observe().await?;
        expect(observation.sandboxes().iter().all(|sandbox| !sandbox.ready), || {
            format!("sandbox {id} is still ready")
        })
    }

    async fn newest_first(&mut self) -> Result<(), Broken> {
        let (old_sandbox, old) = self.running().await?;
        self.stop(&old).await?;
        self.stop_sandbox(&old_sandbox).await?;
        let new_sandbox = self.sandbox(1).await?;
        let new = self.create(&new_sandbox, Some(1)).await?;
        let observation = self.observe().await?;
        let newest = observation.sandboxes().first().map(|sandbox| sandbox.id.clone());
        expect(newest.as_ref() == Some(&new_sandbox), || {
            format!("the first sandbox is {newest:?}, the newest {new_sandbox}")
        })?;
        let ids = self.ids().await?;
        expect(ids.first() == Some(&new), || format!("the newest of {ids:?} is {new}"))
    }

    async fn pulled_image_is_present(&mut self) -> Result<(), Broken> {
        succeed("pull_image", self.runtime.pull_image(self.pod, self.container).await)?;
        let present =
            succeed("image_present", self.runtime.image_present(self.pod, self.container).await)?;
        expect(present, || "the image is not there after its pull".to_string())
    }

    async fn created_instance(&mut self) -> Result<(), Broken> {
        let sandbox = self.sandbox(0).await?;
        let id = self.create(&sandbox, Some(4)).await?;
        let seen = self.instance(&id).await?;
        expect(
            seen.state == InstanceState::Created
                && seen.sandbox_id == sandbox
                && seen.restart_count == 4,
            || format!("not Created in {sandbox} with restart count 4: {seen:?}"),
        )
    }

    async fn started_instance(&mut self) -> Result<(), Broken> {
        let before = self.runtime.now();
        let (_, id) = self.running().await?;
        let after = self.runtime.now();
        let seen = self.instance(&id).await?;
        let dated = seen.started_at.is_some_and(|at| (before..=after).contains(&at));
        expect(seen.is_running() && dated, || {
            format!("not Running since a time from {before} to {after}: {seen:?}")
        })
    }

    async fn stopped_instance(&mut self) -> Result<(), Broken> {
        let (_, id) = self.running().await?;
        self.stop(&id).await?;
        self.stop(&id).await?;
        let seen = self.instance(&id).await?;
        let finished_at = seen.exit().and_then(|exit| exit.finished_at);
        expect(finished_at.is_some() && finished_at >= seen.started_at, || {
            format!("not Exited at a time after its start: {seen:?}")
        })
    }

    async fn removed_instance(&mut self) -> Result<(), Broken> {
        let (sandbox, first) = self.running().await?;
        self.stop(&first).await?;
        let second = self.create(&sandbox, Some(1)).await?;
        self.remove(&first, false).await?;
        self.remove(&first, false).await?;
        let ids = self.ids().await?;
        expect(ids == [second.clone()], || format!("{ids:?} are there, and not {second} alone"))
    }

    async fn fresh_ids(&mut self) -> Result<(), Broken> {
        let (sandbox, first) = self.running().await?;
        self.stop(&first).await?;
        self.remove(&first, false).await?;
        let second = self.create(&sandbox, Some(0)).await?;
        expect(first != second, || format!("instance id {first} was given twice"))?;
        self.stop_sandbox(&sandbox).await?;
        let next = self.sandbox(0).await?;
        expect(next != sandbox, || format!("sandbox id {sandbox} was given twice"))
    }

    async fn counts_from_logs(&mut self) -> Result<(), Broken> {
        let sandbox = self.sandbox(0).await?;
        for (keep_log, expected) in [(true, 6), (false, 0)] {
            let id = self.create(&sandbox, Some(5)).await?;
            self.remove(&id, keep_log).await?;
            let next = self.create(&sandbox, None).await?;
            let count = self.instance(&next).await?.restart_count;
            expect(count == expected, || {
                let log = if keep_log { "kept" } else { "gone" };
                format!("restart count {count}, not {expected}, where the log of 5 is {log}")
            })?;
            self.remove(&next, false).await?;
            // The log of 5 goes with an instance of the same count.
            let id = self.create(&sandbox, Some(5)).await?;
            self.remove(&id, false).await?;
        }
        Ok(())
    }

    async fn observing_changes_nothing(&mut self) -> Result<(), Broken> {
        self.running().await?;
        let known = |observation: Observation| -> Vec<(SmolStr, InstanceState)> {
            let instances = observation.all_instances();
            instances.map(|(_, instance)| (instance.id.clone(), instance.state.clone())).collect()
        };
        let first = known(self.observe().await?);
        let second = known(self.observe().await?);
        expect(first == second, || format!("first {first:?}, then {second:?}"))
    }
}

fn succeed<T, E: fmt::Display>(call: &str, result: Result<T, E>) -> Result<T, Broken> {
    result.map_err(|error| Broken(format!("{call} failed: {error}")))
}
