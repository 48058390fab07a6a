//! The rules of the invariants: an entry, and what was known before it.

use alloc::format;
use alloc::string::String;

use super::trace::{Fact, StopScope, TraceEntry};
use super::world::World;
use crate::actions::restart_verdict;
use crate::pod::{ContainerIndex, ContainerKind, RestartPolicy};
use crate::resources::ResourceList;
use crate::status::{ContainerStatus, PodPhase, PodStatus, condition_type};
use crate::version::{Change, Feature};

/// The start of a container, if the entry is one.
fn started(entry: &TraceEntry) -> Option<(ContainerIndex, &str, u32)> {
    match &entry.fact {
        Fact::ContainerStarted { container, sandbox_id, restart_count, .. } => {
            Some((*container, sandbox_id, *restart_count))
        }
        _ => None,
    }
}

/// The status that is written, if the entry writes one.
fn written(entry: &TraceEntry) -> Option<&PodStatus> {
    match &entry.fact {
        Fact::StatusWritten(status) => Some(status),
        _ => None,
    }
}

pub(super) fn one_running_instance(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let (container, ..) = started(entry)?;
    let running = world.life(container)?.running()?;
    let name = world.name(container);
    Some(format!("container {name} was started while its instance {} is running", running.id))
}

pub(super) fn one_ready_sandbox(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let Fact::SandboxStarted { id } = &entry.fact else { return None };
    let ready = world.sandboxes.first()?;
    Some(format!("sandbox {id} was started while sandbox {ready} is ready"))
}

pub(super) fn starts_in_ready_sandbox(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let (container, sandbox_id, _) = started(entry)?;
    if world.sandboxes.iter().any(|ready| ready == sandbox_id) {
        return None;
    }
    let name = world.name(container);
    Some(format!("container {name} was started in sandbox {sandbox_id}, which is not ready"))
}

pub(super) fn init_containers_in_order(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let (container, sandbox_id, _) = started(entry)?;
    let kind = world.pod.container(container).kind();
    if !matches!(kind, ContainerKind::Init | ContainerKind::RestartableInit) {
        return None;
    }
    let what = format!("init container {}", world.name(container));
    started_too_early(world, container, &what, sandbox_id, |init| init < container)
}

pub(super) fn apps_after_init(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let (container, sandbox_id, _) = started(entry)?;
    if world.pod.container(container).kind() != ContainerKind::App {
        return None;
    }
    let what = format!("app container {}", world.name(container));
    started_too_early(world, container, &what, sandbox_id, |_| true)
}

/// `what` was started although an init container that must be done before is not.
fn started_too_early(
    world: &World<'_>,
    container: ContainerIndex,
    what: &str,
    sandbox_id: &str,
    comes_before: impl Fn(ContainerIndex) -> bool,
) -> Option<String> {
    if world.seems_initialized(container) {
        return None;
    }
    let missing = world
        .pod
        .init_containers()
        .find(|init| comes_before(*init) && !world.is_done(*init, sandbox_id))?;
    let done = match world.pod.container(missing).kind() {
        ContainerKind::RestartableInit => "started",
        _ => "succeeded",
    };
    let name = world.name(missing);
    Some(format!(
        "{what} was started before init container {name} has {done} in sandbox {sandbox_id}"
    ))
}

pub(super) fn sidecars_stop_last(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let Fact::StopRequested { container, scope: StopScope::Pod, .. } = &entry.fact else {
        return None;
    };
    if !world.pod.container(*container).is_restartable_init_container() {
        return None;
    }
    let behind = world.pod.init_containers().filter(|init| {
        init > container && world.pod.container(*init).is_restartable_init_container()
    });
    let not_asked = |index: &ContainerIndex| {
        let running = world.life(*index).and_then(|life| life.running());
        running.is_some_and(|record| record.stop.is_none())
    };
    let first = world.pod.app_containers().chain(behind).find(not_asked)?;
    let name = world.name(*container);
    let other = world.name(first);
    Some(format!(
        "restartable init container {name} was asked to stop before container {other} was"
    ))
}

pub(super) fn restarts_by_policy(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let (container, sandbox_id, _) = started(entry)?;
    let life = world.life(container)?;
    let newest = life.records.last().filter(|record| record.sandbox_id == sandbox_id)?;
    let exit = life.last_own_exit()?;
    let declared = world.pod.container(container);
    let by_rules = || restart_verdict(world.pod, declared, exit.code).0;
    let may_restart = match declared.kind() {
        ContainerKind::RestartableInit => true,
        ContainerKind::App => by_rules(),
        ContainerKind::Ephemeral => false,
        ContainerKind::Init if !exit.failed() => false,
        ContainerKind::Init if world.pod.enabled(Feature::ContainerRestartRules) => by_rules(),
        ContainerKind::Init => world.pod.restart_policy() != RestartPolicy::Never,
    };
    if may_restart {
        return None;
    }
    let name = world.name(container);
    Some(format!(
        "container {name} was started again after {} has exited with {}, which neither rule nor \
         policy restarts",
        newest.id, exit.code
    ))
}

pub(super) fn back_off_never_early(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let (container, ..) = started(entry)?;
    let exit = world.life(container)?.last_own_exit()?;
    let delay = world.held_back(container, exit.finished_at)?;
    let waited = entry.at.saturating_duration_since(exit.finished_at);
    if waited >= delay {
        return None;
    }
    let name = world.name(container);
    Some(format!(
        "container {name} was started {waited:?} after its end, and is held back for {delay:?}"
    ))
}

pub(super) fn nothing_starts_after_the_end(
    world: &World<'_>,
    entry: &TraceEntry,
) -> Option<String> {
    let what = match &entry.fact {
        Fact::SandboxStarted { id } => format!("sandbox {id}"),
        Fact::ContainerStarted { container, .. } => format!("container {}", world.name(*container)),
        _ => return None,
    };
    if world.deletion_requested {
        Some(format!("{what} was started although the pod is to be deleted"))
    } else if world.evicted {
        Some(format!("{what} was started although the pod is evicted"))
    } else {
        let phase = world.terminal_phase()?;
        Some(format!("{what} was started although the pod's phase is {phase}"))
    }
}

pub(super) fn phase_goes_forward(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let new = written(entry)?.phase;
    let old = world.status?.phase;
    // Up to 1.34 no restartable init container has started when the phase is computed, and up to
    // 1.32 no app container has that waits (`HasAnyRegularContainerStarted`).
    let held_back = world.pod.has_restartable_init_container()
        && !world.pod.gates().has(Change::CurrentSandboxDecidesInitialized);
    let back = old == PodPhase::Running
        && new == PodPhase::Pending
        && !world.may_begin_anew()
        && !held_back;
    let revived = old.is_terminal() && new != old;
    (back || revived).then(|| format!("the phase went from {old} to {new}"))
}

pub(super) fn phase_fits_containers(_: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let status = written(entry)?;
    let lists = [&status.init_container_statuses, &status.container_statuses];
    let mut all = lists.into_iter().flatten();
    if status.phase.is_terminal() {
        let running = all.find(|container| container.state.running.is_some())?;
        return Some(format!(
            "container {} is shown running in phase {}",
            running.name, status.phase
        ));
    }
    let has_run = |container: &ContainerStatus| {
        let ended = [&container.state, &container.last_termination_state];
        container.state.running.is_some() || ended.iter().any(|state| state.terminated.is_some())
    };
    (status.phase == PodPhase::Running && !all.any(has_run))
        .then(|| "no container is shown to have run in phase Running".into())
}

pub(super) fn conditions_agree(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let status = written(entry)?;
    let holds = |condition| status.is_condition_true(condition);
    let containers_ready = holds(condition_type::CONTAINERS_READY);
    if holds(condition_type::READY) && !containers_ready {
        return Some("Ready is True and ContainersReady is not".into());
    }
    if containers_ready && status.phase.is_terminal() {
        return Some(format!("ContainersReady is True in phase {}", status.phase));
    }
    let app_runs = status.container_statuses.iter().any(|app| app.state.running.is_some());
    if app_runs && !holds(condition_type::INITIALIZED) {
        return Some("an app container runs and Initialized is not True".into());
    }
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().find_map(|container| {
        let declared = world.pod.container(world.pod.find(&container.name)?);
        if declared.kind() == ContainerKind::Init {
            return None;
        }
        let name = &container.name;
        if containers_ready && !container.ready {
            Some(format!("ContainersReady is True and container {name} is not ready"))
        } else if container.ready
            // The last status of all marks what was lost as terminated and leaves it ready:
            // `TerminatePod` replaces the state alone.
            && !status.phase.is_terminal()
            && (container.started != Some(true) || container.state.running.is_none())
        {
            Some(format!("container {name} is ready and has not started"))
        } else {
            None
        }
    })
}

pub(super) fn restart_counts_grow(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    if let Some((container, _, count)) = started(entry) {
        let before = world.life(container)?.records.last()?.restart_count;
        let name = world.name(container);
        return (count <= before)
            .then(|| format!("container {name} has restart count {count} after {before}"));
    }
    let status = written(entry)?;
    let before = world.status?;
    if !world.pod.enabled(Feature::RestartAllContainersOnContainerExits) {
        return None;
    }
    let lists = [
        (&before.init_container_statuses, &status.init_container_statuses),
        (&before.container_statuses, &status.container_statuses),
    ];
    lists.into_iter().find_map(|(before, after)| {
        after.iter().find_map(|after| {
            let before = before.iter().find(|before| before.name == after.name)?;
            let (old, new) = (before.restart_count, after.restart_count);
            (new < old).then(|| format!("restartCount of {} went from {old} to {new}", after.name))
        })
    })
}

pub(super) fn status_names_real_instances(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let status = written(entry)?;
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().find_map(|container| {
        container.state.running.as_ref()?;
        let (name, id) = (&container.name, &container.container_id);
        let known = world
            .pod
            .find(name)
            .and_then(|index| world.life(index))
            .is_some_and(|life| life.ids.contains(id));
        (!known).then(|| format!("container {name} is shown running as {id}, which never was"))
    })
}

pub(super) fn requests_cover_use(world: &World<'_>, entry: &TraceEntry) -> Option<String> {
    let (starting, ..) = started(entry)?;
    let reservation = world.trace.reservation()?;
    let mut used = ResourceList::new();
    for (slot, requests) in reservation.containers.iter().enumerate() {
        let runs = world.containers.get(slot).is_some_and(|life| life.running().is_some());
        // A sum beyond the numbers is beyond every reservation, too.
        if (runs || slot == starting.slot()) && used.checked_add(requests).is_err() {
            return Some("the requests of the running containers are beyond all numbers".into());
        }
    }
    let (resource, used) = used
        .iter()
        .find(|(resource, used)| **used > reservation.pod.quantity(resource.as_str()))?;
    let reserved = reservation.pod.quantity(resource.as_str());
    let name = world.name(starting);
    Some(format!("with container {name} the pod uses {used} {resource} of {reserved} reserved"))
}
