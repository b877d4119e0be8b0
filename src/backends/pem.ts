import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { PortolanError } from "../errors.ts";
import { type NamedFile, readNamedFile } from "./named-file.ts";
import type { BackendUrl } from "./url.ts";

/** What TLS is to be spoken with: whom we trust, and whom we say we are. */
export interface PemFiles {
  readonly ca?: NamedFile | undefined;
  readonly cert?: NamedFile | undefined;
  readonly key?: NamedFile | undefined;
}

/** What `ca`, `cert` and `key` of a URL name. Throws BACKEND_URL for what cannot be read or used. */
export async function readPemFiles(url: BackendUrl): Promise<PemFiles> {
  const ca = await readNamedFile(url, "ca");
  const cert = await readNamedFile(url, "cert");
  const key = await readNamedFile(url, "key");
  const isHalf = (cert === undefined) !== (key === undefined);
  const flaw = isHalf ? "cert and key belong together; give both" : flawOf({ ca, cert, key });
  if (flaw !== undefined) throw new PortolanError("BACKEND_URL", `backend "${url.title}": ${flaw}`);
  return { ca, cert, key };
}

const certificates = /-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----.*?-----END \1-----/gs;

/**
 * Why TLS cannot be spoken with these files, with the way out; undefined where it can. Left to Node.js, an authority's
 * file without a certificate trusts nobody, and what is wrong with the others shows with the first connection, without
 * the name of the file.
 */
export function flawOf({ ca, cert, key }: PemFiles): string | undefined {
  for (const file of [ca, cert]) {
    if (!file || file.text.match(certificates)?.every(certificateIn)) continue;
    const wayOut = "give a file of whole -----BEGIN CERTIFICATE----- blocks";
    return `${file.path}: no certificate in PEM format, or a damaged one; ${wayOut}`;
  }
  const own = cert && certificateIn(cert.text);
  const secret = key && privateKeyIn(key.text);
  if (key && !secret) {
    const wayOut = "give a file with a whole -----BEGIN PRIVATE KEY----- block";
    return `${key.path}: no private key in PEM format that needs no passphrase; ${wayOut}`;
  }
  if (key && secret && own?.checkPrivateKey(secret) === false) {
    return `${key.path}: not the key of the certificate in ${cert?.path}; give the two that belong together`;
  }
  try {
    createSecureContext({ ca: ca?.text, cert: cert?.text, key: key?.text });
  } catch (error) {
    const paths = [ca, cert, key].flatMap((file) => file?.path ?? []).join(", ");
    return `${paths}: ${error instanceof Error ? error.message : String(error)}`;
  }
  return undefined;
}

function certificateIn(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}

function privateKeyIn(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
}
