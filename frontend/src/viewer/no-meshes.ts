/** Stands for what reads meshes: Cornerstone brings it along, and films have none. */

export default {
  newInstance(): never {
    throw new Error("Meshes are not read here.");
  },
};
