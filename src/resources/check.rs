//! What no cluster would accept.

use alloc::vec::Vec;

use super::error::{ResourcesError, ResourcesProblem};
use super::pod::PodResources;
use super::pod::Row;

impl PodResources {
    /// Everything about the amounts in the spec that the apiserver refuses by itself: what is
    /// below zero, and requests above their limits (`ValidateResourceRequirements`). Empty if all
    /// is well.
    ///
    /// A pod is compiled and counted with such amounts as Kubernetes would count them.
    pub fn check(&self) -> Vec<ResourcesError> {
        let mut errors = Vec::new();
        for container in 0..self.containers() {
            self.check_lists(Row::Requests(container), Row::Limits(container), &mut errors);
        }
        self.check_lists(Row::PodRequests, Row::PodLimits, &mut errors);
        for (name, _) in self.resource_names().iter().enumerate() {
            self.check_sign(Row::Overhead, name, &mut errors);
        }
        errors
    }

    fn check_lists(&self, requests: Row, limits: Row, errors: &mut Vec<ResourcesError>) {
        for (name, resource) in self.resource_names().iter().enumerate() {
            self.check_sign(limits, name, errors);
            self.check_sign(requests, name, errors);
            if let (Some(value), Some(limit)) =
                (self.amount(requests, name), self.amount(limits, name))
                && value > limit
            {
                let problem = ResourcesProblem::RequestAboveLimit {
                    resource: resource.clone(),
                    value,
                    limit,
                };
                errors.push(self.error(requests, resource.as_str(), problem));
            }
        }
    }

    fn check_sign(&self, row: Row, name: usize, errors: &mut Vec<ResourcesError>) {
        if let Some(value) = self.amount(row, name).filter(|value| value.sign() < 0) {
            let resource = self.resource_names()[name].as_str();
            errors.push(self.error(row, resource, ResourcesProblem::Negative { value }));
        }
    }
}
