//! The durations of the lease and the identity of a replica.

use std::time::Duration;

/// The options of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The identity of this process, which no other process has, not even an earlier one in the same pod. See
    /// [`identity`].
    pub identity: String,
    /// The durations.
    pub timing: Timing,
}

/// The durations of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The duration of the lease after a renewal, as other replicas see it, in whole seconds.
    pub duration: Duration,
    /// The time between two renewals.
    pub renew: Duration,
    /// The delay after a failed renewal, and the time between two reads of a lease that another replica holds.
    pub retry: Duration,
    /// The time by which the holder considers its lease over before other replicas do. It covers a request that has just
    /// started and clocks that run at different speeds.
    pub margin: Duration,
    /// The timeout of a request to the API server.
    pub answer: Duration,
    /// The longest time for which a request of a former holder may still be running after its lease was over.
    pub longest_request: Duration,
}

/// The reasons why durations contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseOptionsError {
    /// The duration is not a whole number of seconds.
    #[error(
        "a lease duration of {0:?} cannot be stored, because a Lease has whole seconds; write one such as 15s"
    )]
    Fraction(Duration),
    /// A delay of zero would flood the API server with requests.
    #[error(
        "the delays of a lease must be longer than zero: renewals every {renew:?}, retries after {retry:?}"
    )]
    Pauses {
        /// The time between two renewals.
        renew: Duration,
        /// The delay after a failed renewal.
        retry: Duration,
    },
    /// The lease is so short that one slow response would lose it.
    #[error(
        "a lease duration of {duration:?} is too short: the lease is renewed every {renew:?}, a response may take \
         {answer:?}, and the lease counts as lost {margin:?} before its end; write more than {}s",
        (*renew + *answer + *margin).as_secs()
    )]
    Short {
        /// The duration of the lease.
        duration: Duration,
        /// The time between two renewals.
        renew: Duration,
        /// The timeout of a request.
        answer: Duration,
        /// The time by which it ends earlier for its holder.
        margin: Duration,
    },
}

/// Returns the identity of a process: the pod name for people, and a random number so that a restarted pod has a new
/// identity.
#[must_use]
pub fn identity(pod: &str, random: u64) -> String {
    format!("{pod}_{random:016x}")
}

impl Timing {
    /// Returns a lease of 15 s that is renewed every 5 s, as client-go's is, and given up after 12 s without a renewal.
    #[must_use]
    pub const fn standard(longest_request: Duration) -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew: Duration::from_secs(5),
            retry: Duration::from_secs(2),
            margin: Duration::from_secs(3),
            answer: Duration::from_secs(4),
            longest_request,
        }
    }

    /// Returns the time for which a renewal is valid for its holder, counted from its sending.
    #[must_use]
    pub(in crate::reconcile::lease) fn holder_duration(&self) -> Duration {
        self.duration.saturating_sub(self.margin)
    }

    /// Returns the time for which a new holder waits after it has taken a lease of this duration that was not released.
    #[must_use]
    pub(in crate::reconcile::lease) fn settle(&self, duration: Duration) -> Duration {
        duration.saturating_add(self.longest_request)
    }

    /// Checks that the durations do not contradict each other.
    pub(in crate::reconcile::lease) fn validate(&self) -> Result<(), LeaseOptionsError> {
        let Self {
            duration,
            renew,
            retry,
            margin,
            answer,
            ..
        } = *self;
        if duration.is_zero() || duration.subsec_nanos() != 0 || i32::try_from(duration.as_secs()).is_err() {
            return Err(LeaseOptionsError::Fraction(duration));
        }
        if renew.is_zero() || retry.is_zero() {
            return Err(LeaseOptionsError::Pauses { renew, retry });
        }
        if renew + answer + margin >= duration {
            return Err(LeaseOptionsError::Short {
                duration,
                renew,
                answer,
                margin,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_contradict_each_other_are_rejected_with_a_remedy() {
        let good = Timing::standard(Duration::from_secs(30));
        assert_eq!(good.validate(), Ok(()));
        let message = |timing: Timing| timing.validate().unwrap_err().to_string();
        assert_eq!(
            message(Timing {
                duration: Duration::from_secs(12),
                ..good
            }),
            "a lease duration of 12s is too short: the lease is renewed every 5s, a response may take 4s, and the lease \
             counts as lost 3s before its end; write more than 12s"
        );
        assert_eq!(
            message(Timing {
                duration: Duration::from_millis(15_500),
                ..good
            }),
            "a lease duration of 15.5s cannot be stored, because a Lease has whole seconds; write one such as 15s"
        );
        assert_eq!(
            message(Timing {
                retry: Duration::ZERO,
                ..good
            }),
            "the delays of a lease must be longer than zero: renewals every 5s, retries after 0ns"
        );
    }

    #[test]
    fn a_restarted_pod_has_a_new_identity() {
        assert_eq!(identity("cassgate-0", 0xab), "cassgate-0_00000000000000ab");
        assert_ne!(identity("cassgate-0", 1), identity("cassgate-0", 2));
    }
}
