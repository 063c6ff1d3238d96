// SPDX-License-Identifier: Apache-2.0
// A Sigstore instance on the loopback interface, for tests: certificate authority (Fulcio),
// logs (Rekor v1 and v2) and timestamp authority. The certificates and timestamps are made
// by @sigstore/mock; the logs are Merkle trees of our own, whose entries have the bodies
// that Rekor writes. It believes every identity token. It is also an OIDC issuer that gives
// jobs their tokens as GitHub Actions does.
//
//   NODE_PATH=… node .ci/sigstore.cjs FOLDER
//
// writes FOLDER/trusted_root.json, prints the URLs as one line of JSON, and ends when its
// stdin does. Below /early and /late the logs say a time one hour before or after the true one.
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { fulcioHandler, initializeCA, initializeCTLog, initializeTSA } = require('@sigstore/mock');
const canonicalize = require('canonicalize');
const pkijs = require('pkijs');

const HOUR = 3600;
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), crypto.createHash('sha256')).digest();
const der = (key) => key.export({ format: 'der', type: 'spki' });
const pair = () => crypto.generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const seconds = () => Math.floor(Date.now() / 1000);

// RFC 9162, section 2.1: a tree over leaf hashes.
const split = (n) => { let k = 1; while (k * 2 < n) k *= 2; return k; };
const root = (leaves) => leaves.length === 1 ? leaves[0] :
  sha256(Buffer.of(1), root(leaves.slice(0, split(leaves.length))), root(leaves.slice(split(leaves.length))));
const proof = (index, leaves) => {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return index < k ? [...proof(index, leaves.slice(0, k)), root(leaves.slice(k))]
    : [...proof(index - k, leaves.slice(k)), root(leaves.slice(0, k))];
};

class Log {
  // A Rekor v2 log has an Ed25519 key, whose id is that of the C2SP signed-note.
  constructor(origin, modern) {
    this.origin = origin;
    const { privateKey, publicKey } = modern ? crypto.generateKeyPairSync('ed25519') : pair();
    this.privateKey = privateKey;
    this.publicKey = der(publicKey);
    this.details = modern ? 'PKIX_ED25519' : 'PKIX_ECDSA_P256_SHA_256';
    this.id = modern ? sha256(`${origin}\n`, Buffer.of(1), this.publicKey.subarray(-32)) : sha256(this.publicKey);
    // So that every proof has a path.
    this.leaves = ['one', 'two', 'three'].map((text) => sha256(Buffer.of(0), text));
  }

  sign(bytes) { return crypto.sign(this.privateKey.asymmetricKeyType === 'ec' ? 'sha256' : null, bytes, this.privateKey); }

  append(entry) {
    const body = Buffer.from(canonicalize(entry));
    const index = this.leaves.push(sha256(Buffer.of(0), body)) - 1;
    const head = root(this.leaves);
    // C2SP signed-note: a text, an empty line, and a line with key hint and signature.
    const note = `${this.origin}\n${this.leaves.length}\n${head.toString('base64')}\n`;
    const signature = Buffer.concat([this.id.subarray(0, 4), this.sign(Buffer.from(note))]);
    const checkpoint = `${note}\n\u2014 ${this.origin.split(' ')[0]} ${signature.toString('base64')}\n`;
    return { body, index, head, size: this.leaves.length, path: proof(index, this.leaves), checkpoint };
  }
}

// What Rekor v1 keeps of a proposed entry.
function bodyV1(proposed) {
  if (proposed.kind !== 'dsse') return proposed;
  const { envelope, verifiers } = proposed.spec.proposedContent;
  const { payload, signatures } = JSON.parse(envelope);
  const hash = (bytes) => ({ algorithm: 'sha256', value: sha256(bytes).toString('hex') });
  return {
    apiVersion: '0.0.1', kind: 'dsse', spec: {
      envelopeHash: hash(envelope), payloadHash: hash(Buffer.from(payload, 'base64')),
      signatures: signatures.map(({ sig }, at) => ({ signature: sig, verifier: verifiers[at] })),
    },
  };
}

function rekorV1(log, request, skew) {
  const { body, index, head, size, path: hashes, checkpoint } = log.append(bodyV1(request));
  const promised = {
    body: body.toString('base64'), integratedTime: seconds() + skew, logID: log.id.toString('hex'), logIndex: index,
  };
  return {
    [sha256(Buffer.of(0), body).toString('hex')]: {
      ...promised,
      verification: {
        signedEntryTimestamp: log.sign(Buffer.from(canonicalize(promised))).toString('base64'),
        inclusionProof: {
          checkpoint, logIndex: index, rootHash: head.toString('hex'), treeSize: size,
          hashes: hashes.map((hash) => hash.toString('hex')),
        },
      },
    },
  };
}

function rekorV2(log, request) {
  const { digest, signature } = request.hashedRekordRequestV002;
  const { body, index, head, size, path: hashes, checkpoint } = log.append({
    apiVersion: '0.0.2', kind: 'hashedrekord',
    spec: { hashedRekordV002: { data: { algorithm: 'SHA2_256', digest }, signature } },
  });
  return {
    logIndex: String(index), logId: { keyId: log.id.toString('base64') },
    kindVersion: { kind: 'hashedrekord', version: '0.0.2' }, integratedTime: '0',
    inclusionProof: {
      logIndex: String(index), rootHash: head.toString('base64'), treeSize: String(size),
      hashes: hashes.map((hash) => hash.toString('base64')), checkpoint: { envelope: checkpoint },
    },
    canonicalizedBody: body.toString('base64'),
  };
}

// The token comes in the body or in the header.
async function newFulcio(fulcio, request, token) {
  const said = await fulcio.fn(JSON.stringify({ credentials: { oidcIdentityToken: token }, ...request }));
  return { ...said, statusCode: said.statusCode === 201 ? 200 : said.statusCode };
}

// The interface that cosign 2 speaks: a token in the header, certificates in the answer.
async function oldFulcio(fulcio, { publicKey }, token) {
  const content = Buffer.from(publicKey.content, 'base64').toString();
  const { statusCode, response } = await newFulcio(fulcio, { publicKeyRequest: { publicKey: { content } } }, token);
  if (statusCode !== 200) return { statusCode, response };
  const { certificates } = JSON.parse(response).signedCertificateEmbeddedSct.chain;
  return { response: certificates.map((pem) => pem.trim()).join('\n') + '\n', contentType: 'application/pem-certificate-chain' };
}

// The issuer of a job's ID tokens. Who asks as `stranger` is a job of another repository.
class Issuer {
  constructor(url) {
    this.url = url;
    Object.assign(this, pair());
  }

  configuration() {
    return { issuer: this.url, jwks_uri: `${this.url}/jwks`, id_token_signing_alg_values_supported: ['ES256'] };
  }

  keys() { return { keys: [{ ...this.publicKey.export({ format: 'jwk' }), kid: '1', alg: 'ES256', use: 'sig' }] }; }

  token(audience, asker) {
    const repository = asker === 'stranger' ? 'mallory/counter' : 'demo/counter';
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'ES256', typ: 'JWT', kid: '1' })}.${part({
      iss: this.url, aud: audience, sub: `repo:${repository}:environment:release`, repository, ref: 'refs/tags/v1',
      environment: 'release', jti: crypto.randomUUID(), iat: seconds(), nbf: seconds(), exp: seconds() + 300,
    })}`;
    const signature = crypto.sign('sha256', text, { key: this.privateKey, dsaEncoding: 'ieee-p1363' });
    return { value: `${text}.${signature.toString('base64url')}` };
  }
}

// RFC 3161: the request is DER, its nonce comes back as it was, times are whole seconds.
function timestamps(tsa) {
  const whole = tsa.tstInfo.bind(tsa);
  tsa.getCurrentTime = () => new Date(seconds() * 1000);
  tsa.tstInfo = (request) => {
    const info = whole({ ...request, nonce: 1 });
    info.nonce = request.nonce;
    return info;
  };
  return (bytes) => {
    const request = pkijs.TimeStampReq.fromBER(bytes);
    return tsa.timestamp({
      artifactHash: Buffer.from(request.messageImprint.hashedMessage.valueBlock.valueHexView),
      hashAlgorithmOID: request.messageImprint.hashAlgorithm.algorithmId,
      nonce: request.nonce, policyOID: request.reqPolicy || '1.3.6.1.4.1.57264.2', certReq: request.certReq,
    });
  };
}

function trustedRoot(url, ca, ctlog, tsa, logs) {
  const validFor = { start: '2020-01-01T00:00:00Z' };
  const base64 = (bytes) => Buffer.from(bytes).toString('base64');
  const log = (baseUrl, publicKey, id, keyDetails = 'PKIX_ECDSA_P256_SHA_256') => ({
    baseUrl, hashAlgorithm: 'SHA2_256', logId: { keyId: base64(id) },
    publicKey: { rawBytes: base64(publicKey), keyDetails, validFor },
  });
  const authority = (organization, uri, ...certificates) => ({
    subject: { organization, commonName: organization }, uri, validFor,
    certChain: { certificates: certificates.map((bytes) => ({ rawBytes: base64(bytes) })) },
  });
  return {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: logs.map(({ publicKey, id, details }) => log(url, publicKey, id, details)),
    certificateAuthorities: [authority('sigstore.mock', url, ca.rootCertificate)],
    ctlogs: [log(`${url}/ct`, ctlog.publicKey, ctlog.logID)],
    timestampAuthorities: [authority('sigstore.mock', url, tsa.intCertificate, tsa.rootCertificate)],
  };
}

async function main(folder) {
  const ctlog = await initializeCTLog(pair());
  const ca = await initializeCA(pair(), ctlog);
  ca.getCurrentTime = () => new Date(seconds() * 1000);
  const tsa = await initializeTSA(pair());
  const fulcio = fulcioHandler(ca, { strict: true });
  const stamp = timestamps(tsa);
  let first, second, issuer;
  const answer = async (url, body, token) => {
    const skew = url.startsWith('/early/') ? -HOUR : url.startsWith('/late/') ? HOUR : 0;
    const { pathname, searchParams } = new URL(url.replace(/^\/(early|late)/, ''), 'http://localhost');
    const json = (value) => ({ statusCode: 200, response: JSON.stringify(value) });
    switch (pathname) {
      case '/.well-known/openid-configuration': return json(issuer.configuration());
      case '/jwks': return json(issuer.keys());
      case '/id-token': return json(issuer.token(searchParams.get('audience'), token));
      case '/api/v2/signingCert': return newFulcio(fulcio, JSON.parse(body), token);
      case '/api/v1/signingCert': return oldFulcio(fulcio, JSON.parse(body), token);
      case '/api/v1/log/entries': {
        const entry = rekorV1(first, JSON.parse(body), skew);
        return { response: JSON.stringify(entry), headers: { etag: Object.keys(entry)[0] } };
      }
      case '/api/v2/log/entries': return { response: JSON.stringify(rekorV2(second, JSON.parse(body))) };
      case '/api/v1/timestamp': return { response: await stamp(body), contentType: 'application/timestamp-reply' };
      default: return { statusCode: 404, response: 'not here' };
    }
  };
  const server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    let said;
    try { said = await answer(request.url, Buffer.concat(parts), (request.headers.authorization || '').replace(/^bearer /i, '')); }
    catch (error) { said = { statusCode: 400, response: String(error.stack) }; }
    response.writeHead(said.statusCode || 201, { 'content-type': said.contentType || 'application/json', ...said.headers });
    response.end(said.response);
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    const url = `http://127.0.0.1:${port}`;
    issuer = new Issuer(url);
    first = new Log(`127.0.0.1:${port} - 1`);
    second = new Log('127.0.0.1', true);
    const trusted = path.join(folder, 'trusted_root.json');
    fs.writeFileSync(trusted, JSON.stringify(trustedRoot(url, ca, ctlog, tsa, [first, second])));
    console.log(JSON.stringify({ url, tsa: `${url}/api/v1/timestamp`, root: trusted }));
  });
  process.stdin.on('end', () => process.exit(0)).resume();
}

main(process.argv[2] || '.').catch((error) => { console.error(error); process.exit(1); });
