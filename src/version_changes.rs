//! What changed from version to version, in words.

use crate::version::KubernetesVersion as V;

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeTopic {
    /// What is started, killed, restarted.
    Actions,
    /// When a pod is looked at again.
    Timing,
    /// The phase.
    Phase,
    /// Conditions and container statuses.
    Status,
    /// What kubectl prints.
    Printer,
    /// Texts of events.
    Events,
    /// Requests and limits.
    Resources,
}

/// A change of behaviour that this crate models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionChange {
    /// The first version that behaves in the new way, by its default gates.
    pub since: V,
    /// What it is about.
    pub topic: ChangeTopic,
    /// What changed.
    pub text: &'static str,
}

macro_rules! changes {
    ($($since:ident $topic:ident: $text:literal;)+) => {
        &[$(VersionChange { since: V::$since, topic: ChangeTopic::$topic, text: $text },)+]
    };
}

/// Every change, oldest first.
pub const VERSION_CHANGES: &[VersionChange] = changes! {
    V1_29 Actions: "restartable init containers (sidecars) are on by default, and all pods use the new scan of init containers";
    V1_29 Actions: "an app container that has exited no longer shows that the pod was initialised";
    V1_29 Actions: "sidecars are stopped after the app containers, in reverse order";
    V1_29 Status: "the condition PodReadyToStartContainers is there by default";
    V1_30 Actions: "pods without sidecars are back to the old scan: a failed init container anywhere is looked for first";
    V1_30 Actions: "in pods with sidecars, an init container that was created and not started is started again";
    V1_30 Events: "Pulled tells the size of the image";
    V1_31 Events: "Created has a colon before the container's name";
    V1_31 Printer: "a pod that is being deleted is Terminating only until its phase is terminal";
    V1_31 Actions: "a hard eviction gives one second of grace";
    V1_32 Phase: "a pod whose init containers run again after a restart of its node goes back from Running to Pending";
    V1_32 Actions: "a sidecar whose image changes is restarted";
    V1_32 Actions: "under OnFailure, only a container that has exited with 0 counts as done when a sandbox is replaced";
    V1_33 Actions: "all pods use the new scan of init containers: only the last one that has a record decides";
    V1_33 Actions: "an app container that was created counts as a sign that the pod was initialised, in all pods";
    V1_33 Phase: "whether a pod has initialised is told by the current sandbox alone";
    V1_34 Actions: "the crash-loop series begins anew when resources change";
    V1_34 Resources: "requests and limits of the pod as a whole are on by default";
    V1_35 Actions: "containers have restart policies and rules of their own";
    V1_35 Timing: "a pod that waits for a back-off is looked at when the back-off ends, and not every 10 s";
    V1_35 Status: "started and ready are kept when the kubelet restarts, and started is carried over to a new instance";
    V1_35 Status: "an init container whose record is gone counts as exited normally once the pod has come to its app containers";
    V1_35 Status: "a restartable init container that fails in a Never pod shows CrashLoopBackOff";
    V1_35 Events: "Created and Started no longer name the container; Pulled says that the image can be accessed";
    V1_35 Printer: "a container that has failed shows behind one that has completed";
    V1_36 Actions: "a rule RestartAllContainers restarts the pod in place by default";
    V1_36 Status: "Initialized stays True once it was, and restart counts no longer go back";
    V1_36 Status: "PodReadyToStartContainers is True as soon as the sandbox is made";
};

/// The changes that lie between two versions: what the later one does otherwise.
pub fn changes_between(one: V, other: V) -> impl Iterator<Item = &'static VersionChange> {
    let (earlier, later) = if one <= other { (one, other) } else { (other, one) };
    VERSION_CHANGES.iter().filter(move |change| earlier < change.since && change.since <= later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stand_in_the_order_of_their_versions() {
        assert!(VERSION_CHANGES.is_sorted_by_key(|change| change.since));
    }

    #[test]
    fn between_two_versions_are_those_of_the_later_and_not_of_the_earlier() {
        let changes = || changes_between(V::V1_33, V::V1_34);
        assert!(changes().count() > 0 && changes().all(|change| change.since == V::V1_34));
        assert_eq!(changes_between(V::V1_34, V::V1_34).count(), 0);
        assert_eq!(changes_between(V::V1_34, V::V1_33).count(), changes().count());
    }
}
