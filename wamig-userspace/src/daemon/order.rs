//! An operator's order, from the control socket to its answer.

use std::time::Instant;

use tokio::sync::oneshot;

use super::control::{Control, Ended, Inputs, unix_us};
use crate::admin::order::{OrderAnswer, OrderRequest, OrderResult};
use crate::fastpath::FastPath;
use crate::migration::io::Input;

impl<F: FastPath> Control<F> {
    /// Carries out an operator's order; the answer comes when that is done.
    pub(super) async fn obey(
        &mut self,
        now: Instant,
        request: &OrderRequest,
        answer: oneshot::Sender<Result<OrderAnswer, String>>,
        inputs: &mut Inputs,
    ) -> Option<Ended> {
        let order = match request.order() {
            Ok(order) => order,
            Err(bad) => {
                drop(answer.send(Err(bad.to_string())));
                return None;
            }
        };
        let commands = self.on_migration(now, Input::WallClock(unix_us() / 1000));
        if let Some(ended) = self.carry_out(commands, inputs).await {
            return Some(ended);
        }
        let Some(controller) = &mut self.controller else {
            let why = "external controllers own the tables: there is no migration here";
            drop(answer.send(Err(why.to_owned())));
            return None;
        };
        let (verdicts, commands) = controller.order(now, &order);
        let ended = self.carry_out(commands, inputs).await;
        let results = verdicts.into_iter().map(OrderResult::from).collect();
        let told = OrderAnswer { site: self.config.site.clone(), dry_run: order.dry_run, results };
        drop(answer.send(Ok(told)));
        ended
    }
}
