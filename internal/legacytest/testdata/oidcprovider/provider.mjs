// An OpenID provider in which everybody may sign in by typing a name, with one
// client, which it tells when somebody signs out. Its settings come as JSON in the environment.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.env.OIDC_PROVIDER);

let keys = 0;
const signingKeys = () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: `key-${keys += 1}`, use: 'sig', alg: 'RS256' }] };
};

// A provider with keys that no other has had.
const start = () => {
  const provider = new Provider(settings.issuer, {
    jwks: signingKeys(),
    clients: [{
      client_id: settings.client,
      client_secret: settings.secret,
      redirect_uris: [settings.callback],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      post_logout_redirect_uris: [settings.home],
      backchannel_logout_uri: settings.callback,
      backchannel_logout_session_required: true,
    }],
    features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    pkce: { required: () => true, methods: ['S256'] },
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'], email: ['email'] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id, preferred_username: id, name: `${id} of the county`, email: `${id}@county.test`, groups: ['clerks'],
      }),
    }),
    cookies: { keys: ['a key of the test'] },
  });

  for (const event of ['server_error', 'authorization.error', 'grant.error']) {
    provider.on(event, (_, error) => console.error(event, error));
  }
  return provider.callback();
};

let current = start();
const { port } = new URL(settings.issuer);
createServer((req, res) => {
  if (req.url === '/roll') {
    current = start();
    res.end('rolled');
    return;
  }
  current(req, res);
}).listen(Number(port), '127.0.0.1');
