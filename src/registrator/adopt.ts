/** An id as gliderlabs/registrator makes it: `<hostname>:<container name>:<container port>[:udp]`. */
const upstreamId = /^(.+?):([a-zA-Z0-9][a-zA-Z0-9_.-]+):[0-9]+(?::udp)?$/;

/** Whether a gliderlabs/registrator on a host of one of these names made the id. */
export function isUpstreamId(id: string, hostnames: readonly (string | undefined)[]): boolean {
  const hostname = upstreamId.exec(id)?.[1];
  return hostname !== undefined && hostnames.includes(hostname);
}
