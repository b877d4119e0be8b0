// What several servers have in common that elect a leader among themselves.
import type { TestServer } from "./server.ts";

/** Servers of which one leads. */
export interface Electing<Member extends TestServer> {
  readonly members: readonly Member[];
  /** The members as the authority of a URL. */
  readonly hosts: string;
  /** The member that leads now. */
  leader(): Promise<Member>;
  /** Ends what still runs of them, at once: a member that lost the others ignores a polite word. */
  stop(): Promise<void>;
}

/** Servers on loopback, each at its `port`; `leads` asks one of them, and rejects with nothing. */
export function electing<Member extends TestServer & { readonly port: number }>(
  members: readonly Member[],
  leads: (member: Member) => Promise<boolean>,
): Electing<Member> {
  return {
    members,
    hosts: members.map(({ port }) => `127.0.0.1:${port}`).join(","),
    async leader() {
      for (;;) {
        for (const member of members) if (await leads(member)) return member;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async stop() {
      await Promise.all(members.map((member) => member.kill()));
    },
  };
}
