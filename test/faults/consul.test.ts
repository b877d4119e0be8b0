import { consulStore } from "./consul-store.ts";
import { contentFaults } from "./content.ts";
import { networkFaults } from "./network.ts";
import { processFaults } from "./process.ts";
import { rightsFaults } from "./rights.ts";

networkFaults(consulStore);
processFaults(consulStore);
contentFaults(consulStore);
rightsFaults(consulStore);
