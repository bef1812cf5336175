//! A body that reports what arrives of it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A frame with this number of bytes.
    Frame(usize),
    /// The end, or an error of the connection. It may be reported twice.
    End,
}

/// Returns `body` with each frame and its end reported to `report`. A body without bytes ends at once.
pub(super) fn report_frames<B>(body: B, mut report: impl FnMut(Arrival) + Send + Unpin + 'static) -> Body
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<axum::BoxError>,
{
    if body.is_end_stream() {
        report(Arrival::End);
        return Body::new(body);
    }
    Body::new(ReportedBody { body, report })
}

struct ReportedBody<B, R> {
    body: B,
    report: R,
}

impl<B, R> HttpBody for ReportedBody<B, R>
where
    B: HttpBody<Data = Bytes> + Unpin,
    R: FnMut(Arrival) + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => (self.report)(Arrival::Frame(frame.data_ref().map_or(0, Bytes::len))),
            Some(Err(_)) | None => (self.report)(Arrival::End),
        }
        // A reader that knows the length does not poll again after the last frame.
        if self.body.is_end_stream() {
            (self.report)(Arrival::End);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
