// The one script that pages name, and nothing more: Django serves it under a name with a hash, and a chunk that imports it by
// the plain one gets it a second time. What must run once is in a chunk of its own.
import "./styles/main.css";
import "./app";
