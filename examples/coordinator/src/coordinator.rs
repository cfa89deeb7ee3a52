//! The flow: validate, dispatch, update the state. Nothing else; who does these things is no concern
//! of it.

use bus::prelude::*;

use crate::contracts::{self, Alert, Answer, Request, Status, Unavailable};
use crate::contracts::{claim, solve, update, validate};

#[command(serves = contracts::process_request)]
async fn process_request(request: Request) -> Result<Answer, Unavailable> {
    let faults = validate::execute(&request).await?;
    if !faults.is_empty() {
        Alert { message: "Invalid request received".to_owned(), about: faults.clone() }
            .fire()
            .await?;
        return Ok(Answer::Invalid(faults));
    }
    if !claim::execute(&request.id).await? {
        return Ok(Answer::Repeated);
    }
    solve::dispatch(request.clone()).await?;
    update::execute(&request.id, &Status::Processing).await?;
    Ok(Answer::Accepted)
}
