// Other people's OAuth clients against a running Gozar. Talks with the test over standard streams:
// "VISIT <url>" asks for a person who goes through the authorization; the answer is the URL they come back to.
import assert from 'node:assert/strict';
import readline from 'node:readline';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const setting = JSON.parse(process.argv[2]);
const which = process.argv[3];
const issuer = new URL(setting.issuer);
const insecure = { [oauth.allowInsecureRequests]: true };
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const scope = 'launch/patient patient/Patient.rs openid fhirUser offline_access';

async function visit(url) {
  process.stdout.write(`VISIT ${url}\n`);
  return new URL((await lines.next()).value);
}

async function privateKey() {
  return jose.importJWK(setting.privateKey, 'ES384');
}

async function discovered() {
  const answer = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
  return oauth.processDiscoveryResponse(issuer, answer);
}

async function checkAccessToken(as, token) {
  const request = new Request(setting.fhirBase, { headers: { authorization: `Bearer ${token}` } });
  const claims = await oauth.validateJwtAccessToken(as, request, setting.fhirBase, insecure);
  assert.equal(claims.iss, setting.issuer);
}

async function backend(authentication, clientId) {
  const as = await discovered();
  const client = { client_id: clientId };
  const form = new URLSearchParams({ scope: 'system/Patient.rs' });
  const answer = await oauth.clientCredentialsGrantRequest(as, client, authentication, form, insecure);
  const result = await oauth.processClientCredentialsResponse(as, client, answer);
  assert.equal(result.expires_in, 300);
  await checkAccessToken(as, result.access_token);
  const about = await oauth.processIntrospectionResponse(
    as, client, await oauth.introspectionRequest(as, client, authentication, result.access_token, insecure));
  assert.equal(about.active, true);
  assert.equal(about.scope, 'system/Patient.rs');
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(as, client, authentication, result.access_token, insecure));
  const ended = await oauth.processIntrospectionResponse(
    as, client, await oauth.introspectionRequest(as, client, authentication, result.access_token, insecure));
  assert.equal(ended.active, false);
}

async function publicApp() {
  const as = await discovered();
  const client = { client_id: setting.publicClientId };
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const url = new URL(as.authorization_endpoint);
  const parameters = {
    client_id: client.client_id, redirect_uri: setting.redirectUri, response_type: 'code', scope, state, nonce,
    aud: setting.fhirBase, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const back = oauth.validateAuthResponse(as, client, await visit(url), state);
  const answer = await oauth.authorizationCodeGrantRequest(
    as, client, oauth.None(), back, setting.redirectUri, verifier, insecure);
  const result = await oauth.processAuthorizationCodeResponse(
    as, client, answer, { expectedNonce: nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, answer, insecure);
  assert.ok(result.patient);
  assert.ok(oauth.getValidatedIdTokenClaims(result).fhirUser.includes('/Patient/'));
  await checkAccessToken(as, result.access_token);
  const next = await oauth.processRefreshTokenResponse(
    as, client, await oauth.refreshTokenGrantRequest(as, client, oauth.None(), result.refresh_token, insecure));
  assert.notEqual(next.refresh_token, result.refresh_token);
}

function configured(clientId, authentication) {
  return openid.discovery(issuer, clientId, undefined, authentication, {
    algorithm: 'oauth2', execute: [openid.allowInsecureRequests],
  });
}

async function openidBackend() {
  for (const [id, authentication] of [
    [setting.secretClientId, openid.ClientSecretBasic(setting.secret)],
    [setting.secretClientId, openid.ClientSecretPost(setting.secret)],
    [setting.keyClientId, openid.PrivateKeyJwt({ key: await privateKey(), kid: setting.privateKey.kid })],
  ]) {
    const config = await configured(id, authentication);
    const tokens = await openid.clientCredentialsGrant(config, { scope: 'system/Patient.rs' });
    assert.equal((await openid.tokenIntrospection(config, tokens.access_token)).active, true);
    await openid.tokenRevocation(config, tokens.access_token);
    assert.equal((await openid.tokenIntrospection(config, tokens.access_token)).active, false);
  }
}

async function openidCode(clientId, authentication, { pushed = false, dpop = false } = {}) {
  const config = await configured(clientId, authentication);
  const options = dpop ? { DPoP: openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256')) } : {};
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const nonce = openid.randomNonce();
  const parameters = {
    redirect_uri: setting.redirectUri, scope, state, nonce, aud: setting.fhirBase,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  };
  const url = pushed
    ? await openid.buildAuthorizationUrlWithPAR(config, parameters, options)
    : openid.buildAuthorizationUrl(config, parameters);
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
  const tokens = await openid.authorizationCodeGrant(config, await visit(url), checks, undefined, options);
  assert.ok(tokens.claims().fhirUser);
  assert.equal(tokens.token_type, dpop ? 'dpop' : 'bearer');
  if (!dpop) {
    const user = await openid.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.equal(user.fhirUser, tokens.claims().fhirUser);
  }
  const next = await openid.refreshTokenGrant(config, tokens.refresh_token, undefined, options);
  assert.equal(next.scope, scope);
  await openid.tokenRevocation(config, next.refresh_token);
  await assert.rejects(openid.refreshTokenGrant(config, next.refresh_token, undefined, options), { error: 'invalid_grant' });
}

const cases = {
  'oauth4webapi-secret': () => backend(oauth.ClientSecretBasic(setting.secret), setting.secretClientId),
  'oauth4webapi-key': async () =>
    backend(oauth.PrivateKeyJwt({ key: await privateKey(), kid: setting.privateKey.kid }), setting.keyClientId),
  'oauth4webapi-public': publicApp,
  'openid-client-backend': openidBackend,
  'openid-client-public': () => openidCode(setting.publicClientId, openid.None()),
  'openid-client-pushed-with-dpop': async () => openidCode(
    setting.keyClientId, openid.PrivateKeyJwt({ key: await privateKey(), kid: setting.privateKey.kid }),
    { pushed: true, dpop: true }),
};

await cases[which]();
process.stdout.write('DONE\n');
process.exit(0);
