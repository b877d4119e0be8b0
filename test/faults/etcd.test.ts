import { contentFaults } from "./content.ts";
import { etcdStore } from "./etcd-store.ts";
import { networkFaults } from "./network.ts";
import { processFaults } from "./process.ts";
import { rightsFaults } from "./rights.ts";

networkFaults(etcdStore);
processFaults(etcdStore);
contentFaults(etcdStore);
rightsFaults(etcdStore);
