import "./styles/main.css";

import { startDecisionLink } from "./decision-link";
import { startHeatMaps } from "./heat-map";
import { startMenus } from "./menu";
import { startReports } from "./report";
import { startRequests } from "./requests";
import { startThemeToggle } from "./theme";
import { startUploads } from "./uploads";
import { startViewer } from "./viewer";

// Shows what works with a script alone.
document.documentElement.classList.add("js");

startRequests();
startMenus();
startThemeToggle();
startUploads();
startViewer();
startHeatMaps();
startDecisionLink();
startReports();
