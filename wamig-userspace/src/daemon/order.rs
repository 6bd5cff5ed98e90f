//! An operator's order, from the control socket to its answer.

use std::time::Instant;

use tokio::sync::oneshot;

use super::control::{Control, Ended, Inputs, unix_us};
use crate::admin::explain::Entry;
use crate::admin::order::{OrderAnswer, OrderRequest, OrderResult, Parsed};
use crate::fastpath::FastPath;
use crate::migration::io::Input;
use crate::migration::site_order::SiteOrder;

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
        let (results, commands) = match &order {
            Parsed::Server(order) => {
                let (verdicts, commands) = controller.order(now, order);
                (verdicts.into_iter().map(OrderResult::from).collect(), commands)
            }
            Parsed::Site(order) => {
                let (verdict, commands) = controller.order_site(now, order);
                if verdict.plan.is_ok() && !order.dry_run {
                    self.record_order(order);
                }
                (OrderResult::of_site(verdict), commands)
            }
        };
        let ended = self.carry_out(commands, inputs).await;
        let told = OrderAnswer { site: self.config.site.clone(), dry_run: request.dry_run, results };
        drop(answer.send(Ok(told)));
        ended
    }

    /// An order about a site is recorded even where no server has anything to do with it.
    fn record_order(&mut self, order: &SiteOrder) {
        let none = "-".to_owned();
        let entry = Entry {
            at_unix_us: unix_us(),
            verb: order.verb.as_str().to_owned(),
            address: none.clone(),
            role: none.clone(),
            from: none.clone(),
            to: none.clone(),
            epoch: none,
            reason: format!("{}: {}", order.site, order.reason.trim()),
        };
        self.append(None, &entry);
    }
}
