//! Signed resource links: one caller, one path, five minutes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::{claims, local, post, revoke, token_of, until};
use crate::harness::{Answer, Server, backing, instance};

const AT: &str =
    "/dicomweb/studies/1.2.826.7.1.1/series/1.2.826.7.1.1.1/instances/1.2.826.7.1.1.1.1";

async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = token_of(&server, "hanako", "10m");
    server
        .stored(&token, &[instance("1.2.826.7.1").file()])
        .await;
    (server, token)
}

fn bulk() -> String {
    format!("{AT}/bulkdata/7FE00010")
}

/// Makes a link and gives its address.
async fn linked(server: &Server, token: &str) -> String {
    let answer = post(server, "/links", token, &json!({"resource": bulk()})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()["url"].as_str().unwrap().to_owned()
}

async fn open(server: &Server, method: Method, url: &str) -> Answer {
    server.send(server.client.request(method, url)).await
}

#[tokio::test]
async fn sh_2_7_a_link_opens_one_bulk_value_without_a_header() {
    let (server, token) = filled().await;
    let metadata = server.get(&format!("{AT}/metadata"), &token).await;
    let told = metadata.json()[0]["7FE00010"]["BulkDataURI"]
        .as_str()
        .unwrap()
        .to_owned();
    for resource in [bulk(), told] {
        let answer = post(&server, "/links", &token, &json!({"resource": resource})).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made = answer.json();
        let url = made["url"].as_str().unwrap();
        assert!(
            url.starts_with(&format!("{}{}?link=", server.base, bulk())),
            "{url}"
        );
        let expires_at = made["expiresAt"].as_str().unwrap();
        assert!(
            expires_at.ends_with('Z') && expires_at.len() == 20,
            "{expires_at}"
        );
        let by_token = server
            .get_as(&bulk(), &token, "application/octet-stream")
            .await;
        let by_link = open(&server, Method::GET, url).await;
        assert_eq!(by_link.status, 200, "{}", by_link.text());
        assert!(by_link.body == by_token.body && !by_link.body.is_empty());
        assert!(!by_link.header("content-location").contains("link="));
        assert_eq!(by_link.header("x-content-type-options"), "nosniff");
        assert!(
            by_link
                .header("content-security-policy")
                .contains("sandbox")
        );
        let link = url.split_once("link=").unwrap().1;
        let said = claims(link);
        let life = said["exp"].as_i64().unwrap() - claims(&token)["iat"].as_i64().unwrap();
        assert!((290..=330).contains(&life), "five minutes: {life}");
        for line in server.log() {
            assert!(!line.contains(link) && !line.contains("link="), "{line}");
        }
    }
}

#[tokio::test]
async fn sh_2_7_a_link_is_good_for_nothing_else() {
    let (server, token) = filled().await;
    let url = linked(&server, &token).await;
    let (_, link) = url.split_once('?').unwrap();
    for elsewhere in [
        AT.to_owned(),
        format!("{AT}/metadata"),
        format!("{AT}/frames/1"),
        format!("{AT}/bulkdata/00100010"),
        "/dicomweb/studies".to_owned(),
    ] {
        let answer = open(
            &server,
            Method::GET,
            &format!("{}{elsewhere}?{link}", server.base),
        )
        .await;
        assert_eq!(answer.status, 401, "{elsewhere}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = open(&server, method.clone(), &url).await;
        assert!(
            matches!(answer.status, 401 | 405),
            "{method}: {}",
            answer.status
        );
    }
    let api = format!("{}/api/v1/links?{link}", server.base);
    assert_eq!(open(&server, Method::POST, &api).await.status, 401);
    // It is no token, and twice is not once.
    let token_like = link.strip_prefix("link=").unwrap();
    assert_eq!(server.get(&bulk(), token_like).await.status, 401);
    assert_eq!(
        open(&server, Method::GET, &format!("{url}&{link}"))
            .await
            .status,
        401
    );
    // A header counts, whatever the address holds.
    let theirs = server.reader("F002");
    let request = server.client.get(&url).bearer_auth(theirs);
    assert_eq!(server.send(request).await.status, 404);
}

#[tokio::test]
async fn sh_2_7_a_link_that_was_changed_is_refused() {
    let (server, token) = filled().await;
    let url = linked(&server, &token).await;
    let (base, link) = url.split_once("link=").unwrap();
    let parts: Vec<&str> = link.split('.').collect();
    let changed = |index: usize, change: &dyn Fn(&mut Value)| {
        let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let mut value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[index]).unwrap()).unwrap();
        change(&mut value);
        parts[index] = URL_SAFE_NO_PAD.encode(value.to_string());
        parts.join(".")
    };
    for other in [
        changed(1, &|claims| {
            claims["exp"] = json!(claims["exp"].as_i64().unwrap() + 1);
        }),
        changed(1, &|claims| claims["who"]["fac"] = json!("F002")),
        changed(1, &|claims| claims["path"] = json!("/dicomweb/studies")),
        changed(0, &|header| header["alg"] = json!("none")),
        changed(0, &|header| header["typ"] = json!("at+jwt")),
        format!("{}.{}.", parts[0], parts[1]),
        String::new(),
        "x".repeat(9000),
    ] {
        let answer = open(&server, Method::GET, &format!("{base}link={other}")).await;
        assert!(
            matches!(answer.status, 401 | 414),
            "{other}: {}",
            answer.status
        );
    }
    assert_eq!(open(&server, Method::GET, &url).await.status, 200);
}

#[tokio::test]
async fn sh_2_7_only_what_is_visible_is_linked_and_only_what_can_be() {
    let (server, token) = filled().await;
    let ask = async |token: &str, resource: &str| {
        let answer = post(&server, "/links", token, &json!({"resource": resource})).await;
        (answer.status, answer.text())
    };
    let theirs = server.reader("F002");
    let (status, hidden) = ask(&theirs, &bulk()).await;
    let nowhere = bulk().replace("1.2.826.7.1.1/", "1.2.826.9.9.9/");
    assert_eq!((status, hidden), ask(&theirs, &nowhere).await);
    assert_eq!(status, 404);
    assert_eq!(ask(&token, &nowhere).await.0, 404);
    assert_eq!(
        ask(&server.token("F001", "report.read"), &bulk()).await.0,
        403
    );
    for not_one in [
        AT.to_owned(),
        format!("{AT}/frames/1"),
        format!("{AT}/rendered?viewport=1,1"),
        format!("{}?x=1", bulk()),
        format!("https://elsewhere.example{}", bulk()),
        "javascript:alert(1)".to_owned(),
        String::new(),
    ] {
        let (status, told) = ask(&token, &not_one).await;
        assert_eq!(status, 422, "{not_one}");
        assert!(told.contains("bulk value"), "{told}");
        assert!(!told.contains("elsewhere"), "{told}");
    }
    let answer = post(&server, "/links", &token, &json!({"resource": 7})).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn sh_2_7_a6_a_link_ends_with_its_maker_and_with_the_epoch_of_rights() {
    let (server, token) = filled().await;
    let (out, held) = (
        token_of(&server, "signed out", "10m"),
        token_of(&server, "suspended", "10m"),
    );
    let (denied, out, held) = (
        linked(&server, &token).await,
        linked(&server, &out).await,
        linked(&server, &held).await,
    );
    let by_token = claims(&token);
    for (url, what) in [
        (
            &denied,
            json!({"denyToken": {"jti": by_token["jti"], "exp": by_token["exp"]}}),
        ),
        (&out, json!({"signOut": local("signed out")})),
        (&held, json!({"suspend": local("suspended")})),
    ] {
        assert_eq!(open(&server, Method::GET, url).await.status, 200);
        revoke(&server, what.clone()).await;
        assert_eq!(open(&server, Method::GET, url).await.status, 401, "{what}");
    }
    let moved = linked(&server, &token_of(&server, "taro", "10m")).await;
    assert_eq!(open(&server, Method::GET, &moved).await.status, 200);
    use sea_orm::ConnectionTrait;
    let url = backing::database_url(server.data.path());
    let database = sea_orm::Database::connect(url).await.unwrap();
    let move_on = "UPDATE acl_epoch SET epoch = epoch + 1";
    database.execute_unprepared(move_on).await.unwrap();
    assert_eq!(open(&server, Method::GET, &moved).await.status, 401);
    let again = linked(&server, &token_of(&server, "taro", "10m")).await;
    assert_eq!(open(&server, Method::GET, &again).await.status, 200);
}

#[tokio::test]
async fn sh_2_7_a_link_lives_no_longer_than_its_token() {
    let (server, _) = filled().await;
    let url = linked(&server, &token_of(&server, "hanako", "3s")).await;
    until(
        || open(&server, Method::GET, &url),
        |answer| answer.status == 401,
    )
    .await;
}

#[tokio::test]
async fn sh_2_7_a21_a_link_opens_a_picture_at_every_level_and_an_object_of_wado_uri() {
    let (server, token) = filled().await;
    let (study, series) = ("/dicomweb/studies/1.2.826.7.1.1", "/series/1.2.826.7.1.1.1");
    let uri = "/dicomweb/wado?requestType=WADO&objectUID=1.2.826.7.1.1.1.1";
    for resource in [
        format!("{AT}/rendered"),
        format!("{AT}/thumbnail"),
        format!("{AT}/frames/1/rendered"),
        format!("{study}/thumbnail"),
        format!("{study}{series}/rendered"),
        uri.to_owned(),
        format!("{}{uri}&rows=64", server.base),
    ] {
        let answer = post(&server, "/links", &token, &json!({"resource": resource})).await;
        assert_eq!(answer.status, 201, "{resource}: {}", answer.text());
        let url = answer.json()["url"].as_str().unwrap().to_owned();
        let opened = open(&server, Method::GET, &url).await;
        assert_eq!(
            (opened.status, opened.header("content-type")),
            (200, "image/jpeg".to_owned()),
            "{resource}"
        );
        // How large it is shown is not what was signed.
        let large = open(
            &server,
            Method::GET,
            &format!("{url}&viewport=8,8&accept=image/png"),
        )
        .await;
        assert_eq!(large.status, 200, "{resource}");
        let (_, link) = url.split_once("link=").unwrap();
        for elsewhere in [
            format!("{AT}/metadata?link={link}"),
            format!("{AT}/frames/2/rendered?link={link}"),
            format!("/dicomweb/wado?requestType=WADO&objectUID=9.9&link={link}"),
            format!("{uri}&contentType=application/dicom&link={link}"),
            format!("{uri}&contentType=application%2fDICOM&link={link}"),
            format!("{uri}&objectUID=9&link={link}"),
            format!("{uri}&accept=application/dicom&link={link}"),
        ] {
            let answer = open(&server, Method::GET, &format!("{}{elsewhere}", server.base)).await;
            assert_eq!(answer.status, 401, "{resource} at {elsewhere}");
        }
    }
    let made = post(&server, "/links", &token, &json!({"resource": uri})).await;
    let url = made.json()["url"].as_str().unwrap().to_owned();
    let file = server
        .client
        .get(&url)
        .header("accept", "application/dicom");
    assert_eq!(
        server.send(file).await.status,
        401,
        "what is shown, not the file"
    );
    let stranger = server.reader("F002");
    for (token, resource, status) in [
        (&token, format!("{uri}&contentType=application/dicom"), 422),
        (&token, format!("{AT}/frames/x/rendered"), 422),
        (
            &token,
            "/dicomweb/wado?requestType=WADO&objectUID=9.9".to_owned(),
            404,
        ),
        (&stranger, uri.to_owned(), 404),
        (&stranger, format!("{AT}/rendered"), 404),
        (&stranger, format!("{study}/thumbnail"), 404),
    ] {
        let answer = post(&server, "/links", token, &json!({"resource": resource})).await;
        assert_eq!(answer.status, status, "{resource}: {}", answer.text());
    }
}
