// npm run failover:postgres
import { tellFailover } from "../failover/story.ts";
import { postgres } from "./postgres.ts";

process.exit(await tellFailover(postgres));
