// SPDX-License-Identifier: Apache-2.0
// What the npm package `@sigstore/oci` does with our registry:
// `with-sigstore.cjs STORY HOST TOKEN DIGEST`.
const { attachArtifactToImage, getImageDigest } = require('@sigstore/oci');
const assert = require('node:assert');

const [story, host, password, digest] = process.argv.slice(2);
const imageName = `${host}/netops/packet-count`;
const credentials = { username: 'admin', password };
const mediaType = 'application/vnd.in-toto+json';

async function main() {
  if (story === 'digest') {
    assert.equal(await getImageDigest({ imageName, imageTag: '1.0.0', credentials }), digest);
  } else if (story === 'attach') {
    const made = await attachArtifactToImage({
      imageName, credentials, mediaType, imageDigest: digest, artifact: Buffer.from('{"any":"statement"}'),
    });
    assert.equal(made.subjectDigest, digest);
    const listed = await (await fetch(`http://${host}/v2/netops/packet-count/referrers/${digest}?artifactType=${mediaType}`)).json();
    assert.ok(listed.manifests.some((one) => one.digest === made.digest), JSON.stringify(listed));
  } else {
    throw new Error(`no story ${story}`);
  }
}

main().catch((error) => {
  console.error(error, error.cause ?? '');
  process.exit(1);
});
