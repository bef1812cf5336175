//! How long things last, and who we are.

use std::time::Duration;

/// Our part in a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOptions {
    /// Who we are: of no other process, nor of the one that this pod ran before. See [`identity`].
    pub identity: String,
    /// How long things last.
    pub timing: Timing,
}

/// How long things last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The lease, from one renewal on, for all others. Whole seconds.
    pub duration: Duration,
    /// From one renewal to the next.
    pub renew: Duration,
    /// From a renewal that failed to the next; and between two looks at the lease of another.
    pub retry: Duration,
    /// How much earlier than others think the holder itself takes its lease to be over: for what it has just begun,
    /// and for clocks that do not run alike.
    pub margin: Duration,
    /// How long one answer of the API server may take.
    pub answer: Duration,
    /// How long a request of a former holder may still be under way after its lease was over.
    pub longest_request: Duration,
}

/// Why the times do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseOptionsError {
    /// The Lease has whole seconds only.
    #[error(
        "a lease of {0:?} is no number of whole seconds, and a Lease has no other; write one such as 15s"
    )]
    Fraction(Duration),
    /// A pause of nothing would be a flood of requests.
    #[error("a lease needs pauses longer than nothing: renewals every {renew:?}, again after {retry:?}")]
    Pauses {
        /// From one renewal to the next.
        renew: Duration,
        /// After one that failed.
        retry: Duration,
    },
    /// One slow answer would end every term.
    #[error(
        "a lease of {duration:?} is too short: it is renewed every {renew:?}, an answer may take {answer:?}, and \
         {margin:?} before its end it counts as lost; write more than {}s",
        (*renew + *answer + *margin).as_secs()
    )]
    Short {
        /// The lease.
        duration: Duration,
        /// From one renewal to the next.
        renew: Duration,
        /// One answer of the API server.
        answer: Duration,
        /// How much earlier it ends for its holder.
        margin: Duration,
    },
}

/// Who we are: the pod for people, the random number so that a pod which comes back is another one.
#[must_use]
pub fn identity(pod: &str, random: u64) -> String {
    format!("{pod}_{random:016x}")
}

impl Timing {
    /// A lease of 15 s that is renewed every 5 s, as client-go's is, and given up after 12 s without a renewal.
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

    /// How long after its sending a renewal is good for its holder.
    #[must_use]
    pub(in crate::reconcile::lease) fn own(&self) -> Duration {
        self.duration.saturating_sub(self.margin)
    }

    /// How long nothing is done after a lease of this duration was taken that was not released.
    #[must_use]
    pub(in crate::reconcile::lease) fn settle(&self, duration: Duration) -> Duration {
        duration.saturating_add(self.longest_request)
    }

    /// Whether the times go together.
    pub(in crate::reconcile::lease) fn check(&self) -> Result<(), LeaseOptionsError> {
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
    fn times_that_do_not_go_together_are_refused_with_what_to_write() {
        let good = Timing::standard(Duration::from_secs(30));
        assert_eq!(good.check(), Ok(()));
        let says = |timing: Timing| timing.check().unwrap_err().to_string();
        assert_eq!(
            says(Timing {
                duration: Duration::from_secs(12),
                ..good
            }),
            "a lease of 12s is too short: it is renewed every 5s, an answer may take 4s, and 3s before its end it \
             counts as lost; write more than 12s"
        );
        assert_eq!(
            says(Timing {
                duration: Duration::from_millis(15_500),
                ..good
            }),
            "a lease of 15.5s is no number of whole seconds, and a Lease has no other; write one such as 15s"
        );
        assert_eq!(
            says(Timing {
                retry: Duration::ZERO,
                ..good
            }),
            "a lease needs pauses longer than nothing: renewals every 5s, again after 0ns"
        );
    }

    #[test]
    fn a_pod_that_comes_back_is_another_one() {
        assert_eq!(identity("cassgate-0", 0xab), "cassgate-0_00000000000000ab");
        assert_ne!(identity("cassgate-0", 1), identity("cassgate-0", 2));
    }
}
