// The peer: npm's oidc-provider with its in-memory adapter, doing the same work as our token endpoint.
// argv: port, JSON {clientId, clientSecret, jwks}
import Provider from 'oidc-provider';
import * as jose from 'jose';

const port = Number(process.argv[2]);
const setting = JSON.parse(process.argv[3]);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true });
const signing = { ...(await jose.exportJWK(privateKey)), use: 'sig', alg: 'ES256', kid: 'bench' };

const provider = new Provider(issuer, {
  jwks: { keys: [signing] },
  clients: [
    {
      client_id: setting.clientId,
      client_secret: setting.clientSecret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: 'ES256',
    },
    {
      client_id: setting.keyClientId,
      jwks: setting.jwks,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES384',
      id_token_signed_response_alg: 'ES256',
    },
  ],
  scopes: ['system/Patient.rs'],
  enabledJWA: { clientAuthSigningAlgValues: ['ES384'], idTokenSigningAlgValues: ['ES256'] },
  extraTokenClaims: () => ({ app: 'app_0123456789abcdef', tenant: 'tnt_0123456789abcdef', epoch: 1, env: 'sandbox' }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => `${issuer}/fhir/R4`,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'system/Patient.rs',
        audience: `${issuer}/fhir/R4`,
        accessTokenTTL: 300,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
});
provider.listen(port, '127.0.0.1');
