//! The response's future: holds the head until the session is closed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use session_core::{Closed, SessionSerializer};

use crate::cookie::SessionCookie;
use crate::rejection::status_of;
use crate::slot::SessionSlot;

pin_project! {
    /// The future of [`SessionService`](crate::SessionService).
    ///
    /// Dropping it, at any point, drops its hold on the session, and a session dropped with changes commits them in the
    /// background. So nothing here guards against cancellation or a panic of the inner service.
    #[must_use = "futures do nothing unless polled"]
    pub struct SessionFuture<F, ResponseBody, S> {
        #[pin]
        step: Step<F, ResponseBody, S>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, ResponseBody, S> {
        Responding {
            #[pin]
            inner: F,
            slot: SessionSlot<S>,
        },
        Closing {
            // Boxed, since the future of `close` has no name; requests that do not use the session never come here.
            closing: Pin<Box<dyn Future<Output = Closed> + Send>>,
            response: Response<ResponseBody>,
            cookie: SessionCookie,
        },
        Done,
    }
}

impl<F, ResponseBody, S> SessionFuture<F, ResponseBody, S> {
    pub(crate) fn new(inner: F, slot: SessionSlot<S>) -> Self {
        Self { step: Step::Responding { inner, slot } }
    }
}

impl<F, ResponseBody, E, S> Future for SessionFuture<F, ResponseBody, S>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
    ResponseBody: Default,
    S: SessionSerializer,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let next = match step.as_mut().project() {
                StepProjection::Responding { inner, slot } => match ready!(inner.poll(context)) {
                    Ok(response) => match slot.head_ready() {
                        None => {
                            step.set(Step::Done);
                            return Poll::Ready(Ok(response));
                        }
                        Some(session) => Step::Closing {
                            closing: Box::pin(async move { session.close().await }),
                            response,
                            cookie: slot.settings().cookie.clone(),
                        },
                    },
                    // No head to hold back: what was changed is committed when the session is dropped, here.
                    Err(error) => {
                        step.set(Step::Done);
                        return Poll::Ready(Err(error));
                    }
                },
                StepProjection::Closing { closing, response, cookie } => {
                    let closed = ready!(closing.as_mut().poll(context));
                    let response = answer(closed, std::mem::take(response), cookie);
                    step.set(Step::Done);
                    return Poll::Ready(Ok(response));
                }
                StepProjection::Done => panic!("polled again after it was ready"),
            };
            step.set(next);
        }
    }
}

/// The handler's response with what the client must be told, or in its place the status of what went wrong.
fn answer<ResponseBody: Default>(
    closed: Closed,
    mut response: Response<ResponseBody>,
    cookie: &SessionCookie,
) -> Response<ResponseBody> {
    if let Err(error) = closed.result {
        // A client that was told of success would be misled.
        tracing::warn!(%error, "a session could not be committed; the response is replaced");
        response = Response::new(ResponseBody::default());
        *response.status_mut() = status_of(error.kind());
    }
    // Nothing after a failure, unless the id was changed all the same.
    cookie.answer(closed.client, response.headers_mut());
    response
}
