//! Verbs of the documented REST interface.

use serde_json::{Value, json};

use super::{Answer, Method, TestApp};

impl TestApp {
    /// `POST /batch`
    pub async fn post_batch(&self, body: &Value) -> Answer {
        self.send_json(Method::POST, "/batch", &[], body).await
    }

    /// `PUT /batch/:id`
    pub async fn put_batch(&self, id: &str, body: &Value) -> Answer {
        self.send_json(Method::PUT, &format!("/batch/{id}"), &[], body).await
    }

    /// `GET /batch/:id`
    pub async fn get_batch(&self, id: &str) -> Answer {
        self.get(&format!("/batch/{id}")).await
    }

    /// `POST /batch` that must succeed; gives the id.
    pub async fn posted_batch(&self, body: &Value) -> String {
        let answer = self.post_batch(body).await;
        assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
        answer.id()
    }

    /// Makes a tenant with a source and a destination of its own, and gives the three ids.
    pub async fn create_tenant_with_ends(&self, name: &str) -> (String, String, String) {
        let mutation = "mutation ($name: String!) { createTenant(input: { name: $name }) { tenant { id } } }";
        let data = self.data(mutation, json!({ "name": name })).await;
        let tenant = data["createTenant"]["tenant"]["id"].as_str().unwrap().to_owned();
        let mut ends = Vec::new();
        for name in ["source", "destination"] {
            let mutation = "mutation ($tenant: ID!, $name: String!) { createConnection(
                input: { tenantId: $tenant, name: $name, provider: \"csv\" }) { connection { id } } }";
            let data = self.data(mutation, json!({ "tenant": tenant, "name": name })).await;
            ends.push(data["createConnection"]["connection"]["id"].as_str().unwrap().to_owned());
        }
        let [source, destination] = ends.try_into().unwrap();
        (tenant, source, destination)
    }
}

impl Answer {
    /// The `id` of the JSON object that came back.
    pub fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.text())).to_owned()
    }

    /// The problem document that came back, a line for the whole and one for each error:
    /// `STATUS CODE detail`, `  CODE path.to.it: message`. Its shape is checked on the way.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text());
        let document = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{document}")).to_owned();
        assert_eq!(document["type"], "about:blank");
        assert_eq!(document["title"], self.status.canonical_reason().unwrap());
        assert_eq!(document["status"], self.status.as_u16());
        let mut known = vec!["code", "detail", "status", "title", "type"];
        let errors = document.get("errors").map(|errors| errors.as_array().unwrap().as_slice());
        if let Some(errors) = errors {
            known.insert(2, "errors");
            assert_eq!(document["code"], errors[0]["code"], "the document speaks of the first error");
        }
        let mut fields: Vec<&String> = document.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, known);
        let mut lines = vec![format!(
            "{} {} {}",
            self.status.as_u16(),
            text(&document["code"]),
            text(&document["detail"])
        )];
        for error in errors.unwrap_or_default() {
            assert_eq!(error.as_object().unwrap().len(), 3, "{error}");
            let path: Vec<String> = error["path"].as_array().unwrap().iter().map(text).collect();
            lines.push(format!("  {} {}: {}", text(&error["code"]), path.join("."), text(&error["message"])));
        }
        lines.join("\n")
    }

    /// The status, and each error of the problem document as `CODE path.to.it`.
    pub fn problem_codes(&self) -> (u16, Vec<String>) {
        let problem = self.problem();
        let mut lines = problem.lines();
        let whole = lines.next().unwrap();
        let mut errors: Vec<String> = lines
            .map(|line| line.trim().split(": ").next().unwrap().trim_end_matches(':').to_owned())
            .collect();
        if errors.is_empty() {
            errors.push(whole.split(' ').nth(1).unwrap().to_owned());
        }
        (self.status.as_u16(), errors)
    }
}
