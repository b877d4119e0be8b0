// npm run failover:redis
import { tellFailover } from "../failover/story.ts";
import { redis } from "./redis.ts";

process.exit(await tellFailover(redis));
