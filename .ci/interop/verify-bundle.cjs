// SPDX-License-Identifier: Apache-2.0
// Verifies a Sigstore bundle with npm's @sigstore/verify:
//   verify-bundle.cjs BUNDLE FILE key KEY.pub
//   verify-bundle.cjs BUNDLE FILE root TRUSTED_ROOT IDENTITY ISSUER
const crypto = require('node:crypto');
const fs = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const [bundlePath, filePath, kind, path, identity, issuer] = process.argv.slice(2);
const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(bundlePath)));
const file = fs.readFileSync(filePath);
const entity = toSignedEntity(bundle, file);
const nobody = { tlogs: [], ctlogs: [], timestampAuthorities: [], certificateAuthorities: [] };
if (kind === 'key') {
  const publicKey = crypto.createPublicKey(fs.readFileSync(path));
  const material = toTrustMaterial(TrustedRoot.fromJSON(nobody), () => ({ publicKey, validFor: () => true }));
  new Verifier(material, { tlogThreshold: 0, tsaThreshold: 0, timestampThreshold: 0, ctlogThreshold: 0 }).verify(entity);
} else {
  const material = toTrustMaterial(TrustedRoot.fromJSON(JSON.parse(fs.readFileSync(path))));
  const policy = { subjectAlternativeName: identity, extensions: { issuer } };
  new Verifier(material, { tlogThreshold: 1, timestampThreshold: 1, ctlogThreshold: 1 }).verify(entity, policy);
}
// A statement's subject is for the caller to compare.
if (bundle.content.$case === 'dsseEnvelope') {
  const statement = JSON.parse(Buffer.from(bundle.content.dsseEnvelope.payload));
  const digest = crypto.createHash('sha256').update(file).digest('hex');
  if (statement.subject[0].digest.sha256 !== digest) throw new Error('it is about something else');
}
console.log('verified');
